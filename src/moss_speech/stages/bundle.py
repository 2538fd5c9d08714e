"""Stage bundle: the trained parts and the assistant's voice → models/bundle."""

from typing import Any

from moss_speech.audio import mp3_bytes
from moss_speech.bundle import Bundle, ModelFolders, write_bundle
from moss_speech.card import About
from moss_speech.codec.load import load_codec
from moss_speech.corpus.items import Utterance, open_utterances
from moss_speech.corpus.prompt import rights_of, voice_prompt
from moss_speech.decoder.load import load_flow, speaker_file
from moss_speech.decoder.voice import Voice, make_voice
from moss_speech.inference.engine import Engine
from moss_speech.inference.turns import Turn
from moss_speech.params.base import read_yaml
from moss_speech.params.bundle import BundleParams
from moss_speech.settings import settings
from moss_speech.speech.encoders import speaker_encoder
from moss_speech.stages.runner import StageIO, declaration, input_digests
from moss_speech.storage import read_json, write_bytes

Section = BundleParams


def run(p: BundleParams, io: StageIO) -> None:
    """Bundle the trained parts, then open the bundle and ask it one question."""
    models = ModelFolders(*(io.inputs[name] for name in ("lm", "codec", "decoder", "vocoder")))
    utterances = open_utterances(io.inputs["clean"])
    sources = read_json(io.inputs["corpus"] / "sources.json")
    voice = _voice(p, voice_prompt(utterances, p.prompt_s), models, sources)
    write_bundle(io.output, models, [voice], _about(p, sources))
    _try(io, utterances)


def _voice(
    p: BundleParams, prompt: Utterance, models: ModelFolders, sources: list[dict[str, Any]]
) -> Voice:
    config = load_flow(models.decoder).config
    prompt_S = prompt.read(config.format.sample_rate_hz, settings().root)
    codec, speaker_K = load_codec(models.codec), None
    if config.speaker == "given":
        encoder = speaker_encoder(config.speaker_width, speaker_file(models.decoder))
        speaker_K = encoder(prompt_S)
    rights = rights_of(prompt, sources)
    return make_voice(p.voice, prompt_S, codec, config, rights=rights, speaker_K=speaker_K)


def _about(p: BundleParams, sources: list[dict[str, Any]]) -> About:
    root = settings().root
    stage, params = declaration(root, "bundle"), read_yaml(root / "params.yaml")
    return About(
        name="moss-speech",
        licence=p.licence,
        normalise_text=p.normalise_text,
        generation=p.generation,
        parents=input_digests(stage),
        params={section: params[section] for section in stage.sections},
        sources=sources,
    )


def _try(io: StageIO, utterances: dict[str, Utterance]) -> None:
    """Ask the bundle the first training question; file the answer's figures and both sounds."""
    engine = Engine(Bundle.open(io.output))
    asked = min(
        (u for u in utterances.values() if u.role == "question" and u.for_training),
        key=lambda u: u.id,
    )
    rate_hz = engine.listening_rate_hz
    audio_S = asked.read(rate_hz, settings().root)
    reply = engine.reply([Turn("user", audio=audio_S, sample_rate_hz=rate_hz)], seed=0)
    io.tracker.metrics(
        {"bundle/answer_s": reply.audio_s, "bundle/first_audio_s": reply.timings.first_s}
    )
    heard = {"question.mp3": (audio_S, rate_hz), "answer.mp3": (reply.audio, reply.sample_rate_hz)}
    for name, (samples_S, hz) in heard.items() if reply.audio.size else ():
        write_bytes(io.run_folder / name, mp3_bytes(samples_S, hz))
        io.tracker.artifact(io.run_folder / name, "audio")
