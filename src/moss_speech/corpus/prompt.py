"""Which utterance lends the assistant its voice, and on whose terms."""

from typing import Any

from moss_speech.corpus.items import Utterance
from moss_speech.decoder.voice import Rights


def voice_prompt(utterances: dict[str, Utterance], prompt_s: float) -> Utterance:
    """The training answer whose length is nearest to the wanted one; the first id of equals."""
    answers = [u for u in utterances.values() if u.role == "answer" and u.for_training]
    if not answers:
        raise ValueError("data/clean holds 0 training answers, a voice needs at least 1")
    return min(answers, key=lambda u: (abs(u.duration_s - prompt_s), u.id))


def rights_of(prompt: Utterance, sources: list[dict[str, Any]]) -> Rights:
    """Terms of the source that the prompt came from; of all sources where that is not known."""
    own = [source for source in sources if source["name"] == prompt.tags.get("source")] or sources
    return Rights(
        licence="; ".join(sorted({source["licence"] for source in own})),
        consent="; ".join(sorted({source["consent"] for source in own})),
    )
