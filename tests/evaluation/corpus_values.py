"""A hand-made corpus of values: 3 facts in speech, 1 in text only, voices and wordings split."""

from pathlib import Path

from moss_speech.corpus.items import Dialogue, Role, Split, Turn, Utterance

FACTS = {
    "grass": ("colour", "it is green", "speech"),
    "sky": ("colour", "it is blue", "speech"),
    "cow": ("animal", "that is a cow", "speech"),
    "snow": ("colour", "it is white", "text"),
}
VOICES: dict[str, Split] = {
    "espeak-ng:m1": "train",
    "espeak-ng:f9": "dev",
    "espeak-ng:m5": "test",
    "flite:slt": "test",
}
NUMBERS = ("zero", "one", "two")
WORDINGS: dict[str, Split] = {"w0": "train", "w1": "dev", "w2": "test"}


def utterance(
    id: str, text: str, speaker: str, role: Role, voice_split: Split, text_split: Split
) -> Utterance:
    tags = {"category": "repeat"} if id.startswith("repeat") else {}
    return Utterance(
        id, Path(f"{id}.flac"), 1.0, text, speaker, role, voice_split, text_split, tags
    )


def corpus() -> tuple[dict[str, Utterance], list[Dialogue]]:
    found: list[Utterance] = []
    dialogues = []
    for fact, (category, answer, taught) in FACTS.items():
        for wording, split in WORDINGS.items():
            question = f"{wording} {fact}"
            asked = [
                utterance(f"{fact}-{wording}-{v}", question, v, "question", voice_split, split)
                for v, voice_split in VOICES.items()
            ]
            found += asked
            tags = {"fact": fact, "wording": wording, "category": category, "taught": taught}
            turns = (Turn("user", question, tuple(u.id for u in asked)), Turn("assistant", answer))
            dialogues.append(Dialogue(f"{fact}-{wording}", split, turns, tags))
        if taught == "speech":
            for i, split in enumerate(("train", "test")):
                found.append(
                    utterance(f"{fact}-a{i}", answer, "piper:joe", "answer", "train", split)
                )
    for split, words in (("train", "arm bed"), ("test", "bus cake")):
        asked = utterance(
            f"repeat-{split}", f"repeat after me {words}", "espeak-ng:m5", "question", split, split
        )
        found.append(asked)
        tags = {"fact": f"repeat-{split}", "wording": "0", "category": "repeat", "taught": "speech"}
        turns = (Turn("user", asked.text, (asked.id,)), Turn("assistant", words))
        dialogues.append(Dialogue(f"repeat-{split}-w0", split, turns, tags))
    for i, split in enumerate(("train", "test", "test")):
        found.append(
            utterance(f"salad{i}", f"tree {NUMBERS[i]}", "espeak-ng:m1", "salad", "train", split)
        )
    found.append(utterance("human0", "ten of clubs", "person", "human", "test", "test"))
    return {u.id: u for u in found}, dialogues
