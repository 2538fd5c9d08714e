"""Synthesisers that are services: OpenAI's route for speech, by address."""

from moss_speech.audio import Samples, check_samples
from moss_speech.speech.endpoint import EndpointError, ask
from moss_speech.speech.voices.base import Manner, speech_from_wav

TIMEOUT_S, TRIES = 120.0, 4


class SpeechService:
    """POST of text and voice, WAV back; how renditions vary is the service's own."""

    def __init__(self, url: str) -> None:
        self.name = url

    def say(self, text: str, voice: str, manner: Manner) -> Samples:
        """Mono samples at 24 kHz; `EndpointError` for an answer that is no speech."""
        body = {
            "model": "tts",
            "input": text,
            "voice": voice,
            "speed": manner.rate,
            "response_format": "wav",
        }
        try:
            samples_S = speech_from_wav(ask(self.name, body, TIMEOUT_S, TRIES))
            check_samples(samples_S, "answer")
        except (ValueError, RuntimeError) as error:
            raise EndpointError(f"{self.name} answered no mono WAV: {error}") from error
        return samples_S
