"""Written layout as plain sentences: headings, lists, links, small tables, short code."""

import re
from collections.abc import Sequence

from moss_speech.corpus.synthesis.unspeakable import UnspeakableError

MAX_CODE_CHARS, MAX_TABLE_ROWS, MAX_TABLE_COLUMNS = 60, 4, 3
"""More of it is dropped: nobody listens to it."""
_FENCE = re.compile(r"(?:```|~~~)[^\n]*\n?(.*?)(?:```|~~~|\Z)", re.DOTALL)
_INLINE_CODE = re.compile(r"`([^`\n]*)`")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s*(.*?)\s*#*$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,3}[.)])\s+(.*)$")
_QUOTE = re.compile(r"^\s*(?:>\s?)+")
_RULE = re.compile(r"^\s*(?:[-*_]\s*){3,}$")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_EMPHASIS = re.compile(r"(\*{1,3}|_{2,3}|~~)(?=\S)(.+?)(?<=\S)\1")
_URL = re.compile(r"(?:https?://|www\.)([^\s/()<>\"']+)[^\s()<>\"']*", re.IGNORECASE)


def plain(text: str) -> str:
    """A text without Markdown, in which layout has become sentences.

    Raises `UnspeakableError` for long code and large tables.
    """
    text = _FENCE.sub(_code, text)
    text = _INLINE_CODE.sub(lambda found: found[1], text)
    text = _LINK.sub(lambda found: found[1], _IMAGE.sub("", text))
    text = _URL.sub(_address, _TAG.sub(" ", text))
    lines = _without_tables(text.split("\n"))
    text = " ".join(line for line in map(_line, lines) if line)
    return _EMPHASIS.sub(lambda found: found[2], _EMPHASIS.sub(lambda found: found[2], text))


def _code(found: re.Match[str]) -> str:
    code = found[1].strip()
    if len(code) > MAX_CODE_CHARS or "\n" in code:
        raise UnspeakableError("code", f"{len(code)} characters", f"<= {MAX_CODE_CHARS}, one line")
    return code


def _address(found: re.Match[str]) -> str:
    """The host as one says it; where the end of a sentence was taken along, it comes back."""
    host = found[1].lower().removeprefix("www.").split(":")[0].split("@")[-1].rstrip(".,;!?")
    end = found[0][-1] if found[0][-1] in ".,;!?" else ""
    return host.replace(".", " dot ") + end


def _line(line: str) -> str:
    line = _QUOTE.sub("", line)
    if _RULE.match(line):
        return ""
    for form in (_HEADING, _ITEM):
        if found := form.match(line):
            return _ended(found[1].strip())
    return line.strip()


def _ended(sentence: str) -> str:
    """A list item or heading with an end, so that a reader pauses."""
    return sentence if not sentence or sentence[-1] in ".!?:;," else f"{sentence}."


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _without_tables(lines: Sequence[str]) -> list[str]:
    """Small tables as sentences: each row says its columns' names and values."""
    out: list[str] = []
    place = 0
    while place < len(lines):
        following = lines[place + 1] if place + 1 < len(lines) else ""
        if "|" not in lines[place] or "|" not in following or not _TABLE_RULE.match(following):
            out.append(lines[place])
            place += 1
            continue
        names, end = _cells(lines[place]), place + 2
        while end < len(lines) and "|" in lines[end]:
            end += 1
        out += _read_table(names, [_cells(line) for line in lines[place + 2 : end]])
        place = end
    return out


def _read_table(names: list[str], rows: list[list[str]]) -> list[str]:
    if len(rows) > MAX_TABLE_ROWS or len(names) > MAX_TABLE_COLUMNS:
        allowed = f"<= {MAX_TABLE_ROWS} rows of {MAX_TABLE_COLUMNS} columns"
        raise UnspeakableError("table", f"{len(rows)} rows of {len(names)} columns", allowed)
    said = [
        ", ".join(f"{n} {v}".strip() for n, v in zip(names, row, strict=False) if v) for row in rows
    ]
    return [_ended(sentence) for sentence in said if sentence]
