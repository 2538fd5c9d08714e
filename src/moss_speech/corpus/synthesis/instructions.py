"""Rows of instruction sets as dialogues: OpenAI's messages, ShareGPT, Alpaca.

`{"messages": [{"role", "content"}]}`, `{"conversations": [{"from", "value"}]}`,
`{"instruction", "input", "output"}`; other keys beside these are ignored.
"""

from typing import Any

from moss_speech.corpus.synthesis.rows import Dropped, Row

Exchanges = list[tuple[str, str]]
"""Questions with their answers."""
_SIDES = {
    "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "chatgpt": "assistant", "bing": "assistant", "system": "system", "developer": "system",
}  # fmt: skip
_FORMATS = "messages, conversations, or instruction and output"


class _WrongError(Exception):
    """Reason, value and what is allowed."""


def exchanges_of(row: Row) -> Exchanges | Dropped:
    """The exchanges of a row; system texts are left out, since ours choose the modality."""
    try:
        return _exchanges(row.value)
    except _WrongError as error:
        return Dropped(row.where, *error.args)


def _exchanges(value: Any) -> Exchanges:
    if not isinstance(value, dict):
        raise _WrongError("format", type(value).__name__, f"an object with {_FORMATS}")
    if "messages" in value:
        return _turns(value["messages"], "role", "content")
    if "conversations" in value:
        return _turns(value["conversations"], "from", "value")
    if "instruction" in value and "output" in value:
        asked = [_text(value["instruction"]), _text(value.get("input") or "")]
        return [("\n".join(part for part in asked if part), _text(value["output"]))]
    raise _WrongError("format", f"keys {', '.join(sorted(map(str, value))[:5])}", _FORMATS)


def _turns(turns: Any, side_key: str, text_key: str) -> Exchanges:
    if not isinstance(turns, list):
        raise _WrongError("format", f"turns in a {type(turns).__name__}", "a list of turns")
    said: list[str] = []
    for turn in turns:
        if not isinstance(turn, dict) or side_key not in turn or text_key not in turn:
            raise _WrongError("turn", str(turn)[:40], f"an object with {side_key} and {text_key}")
        side = _SIDES.get(turn[side_key]) if isinstance(turn[side_key], str) else None
        if side is None:
            raise _WrongError("role", str(turn[side_key])[:40], ", ".join(_SIDES))
        if side == "system":
            continue
        if side != ("user", "assistant")[len(said) % 2]:
            raise _WrongError(
                "order", f"{side} at turn {len(said) + 1}", "user and assistant in turn"
            )
        said.append(_text(turn[text_key]))
    if len(said) < 2:
        raise _WrongError("turns", str(len(said)), "a question and an answer")
    return list(zip(said[::2], said[1::2], strict=False))


def _text(content: Any) -> str:
    """A text, or the texts of content parts; sound and pictures are not text."""
    if isinstance(content, list):
        parts = [p.get("text") if isinstance(p, dict) else None for p in content]
        if not all(isinstance(part, str) for part in parts):
            raise _WrongError("content", "parts that are no text", "text")
        return " ".join(map(str, parts))
    if not isinstance(content, str):
        raise _WrongError("content", type(content).__name__, "text")
    return content
