"""Turns of a text dialogue made speakable: by rule, or by a language model and then by rule."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from threading import Lock
from typing import Protocol

from moss_speech.corpus.synthesis.speakable import shortened, speakable
from moss_speech.corpus.synthesis.unspeakable import UnspeakableError
from moss_speech.params.synthesis import Instructions, LanguageModel
from moss_speech.speech.endpoint import EndpointError, RefusedError, ask
from moss_speech.speech.text import normalise
from moss_speech.storage import read_json, write_json

DROP = "DROP"
"""What a language model answers for a dialogue that cannot be spoken."""


class Rewriter(Protocol):
    """A written turn in, what one would say out; `UnspeakableError` if nothing would."""

    def rewrite(self, role: str, text: str) -> str:
        """The turn as speech."""


class RuleRewriter:
    """The rules alone."""

    def __init__(self, p: Instructions) -> None:
        self._p = p

    def rewrite(self, role: str, text: str) -> str:
        """The turn as speech; a question is never cut, since its end may decide it."""
        said = speakable(text, self._p.language)
        if role == "assistant":
            return shortened(said, self._p.max_words)
        if (words := len(normalise(said).split())) > self._p.max_words:
            raise UnspeakableError(
                "length", f"a question of {words} words", f"<= {self._p.max_words}"
            )
        return said


class ModelRewriter:
    """A language model by its address, then the rules; what it answered is kept.

    Threads may share it: the same turn is asked for once.
    """

    def __init__(self, p: Instructions, model: LanguageModel, kept: Path) -> None:
        self._rules, self._model, self._kept = RuleRewriter(p), model, kept
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    def rewrite(self, role: str, text: str) -> str:
        """The turn as speech; `EndpointError` if the model cannot be asked."""
        body = {
            "model": self._model.model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": self._model.prompt},
                {"role": "user", "content": f"{role}: {text}"},
            ],
        }
        digest = hashlib.sha256(json.dumps([self._model.url, body]).encode()).hexdigest()
        path = self._kept / digest[:2] / f"{digest}.json"
        with self._locks[digest[:2]]:
            if not path.is_file():
                write_json(path, self._ask(body))
        answer: str = read_json(path)
        if answer.strip() == DROP:
            raise UnspeakableError("language model", DROP, "a text")
        return self._rules.rewrite(role, answer)

    def _ask(self, body: dict[str, object]) -> str:
        try:
            content = ask(self._model.url, body, self._model.timeout_s, self._model.tries)
        except RefusedError as error:
            raise UnspeakableError("language model", str(error), "an answer") from None
        try:
            answer = json.loads(content)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            answer = None
        if not isinstance(answer, str):
            shown = content[:80].decode(errors="replace")
            raise EndpointError(f"{self._model.url} answered {shown!r}, must be a chat completion")
        return answer


def rewriter_of(p: Instructions, kept: Path) -> Rewriter:
    """The rewriter that params ask for; `kept` holds what a model answered."""
    if isinstance(p.rewrite, LanguageModel):
        return ModelRewriter(p, p.rewrite, kept)
    return RuleRewriter(p)
