"""What a language model can do right after training: answers on development data."""

from collections.abc import Mapping, Sequence

import numpy as np

from moss_speech.corpus.answers import Codes, KnownAnswers, spoken_answers
from moss_speech.corpus.items import Dialogue, Utterance
from moss_speech.lm.grid import Output, Turn, prompt_rows, reply_text
from moss_speech.lm.model import LayerSplitLM
from moss_speech.lm.sampling import GREEDY
from moss_speech.lm.stream import generate
from moss_speech.lm.tokenizer import TextTokenizer

PAIRINGS = ("t2t", "s2t", "t2s", "s2s")
CELLS = ("voice", "wording", "both", "repeat")
_MAX_ROWS = 100
_BATCH = 32


def cell_of(voice_split: str, text_split: str, held_out: str) -> str | None:
    """Which cell a question belongs to: unseen voice, unseen wording, or both; else None."""
    match voice_split == held_out, text_split == held_out:
        case True, True:
            return "both"
        case True, False:
            return "voice" if text_split == "train" else None
        case False, True:
            return "wording" if voice_split == "train" else None
    return None


class DevQuestions:
    """Questions of development voices and wordings, and how a model answers them."""

    def __init__(
        self,
        utterances: Mapping[str, Utterance],
        dialogues: Sequence[Dialogue],
        codes: Mapping[str, Codes],
        n_items: int,
        seed: int,
    ) -> None:
        self._codes = codes
        self._known = KnownAnswers(spoken_answers(dialogues, codes))
        self._cells: dict[str, list[tuple[Dialogue, str]]] = {cell: [] for cell in CELLS}
        for dialogue in dialogues:
            if dialogue.tags.get("taught") == "text":
                continue
            for i in dialogue.turns[0].utterances:
                u = utterances[i]
                cell = cell_of(u.voice_split, u.text_split, "dev")
                if cell and dialogue.tags.get("category") == "repeat":
                    cell = "repeat"
                if cell and i in codes and u.role == "question":
                    self._cells[cell].append((dialogue, i))
        random = np.random.default_rng(seed)
        for cell, found in self._cells.items():
            chosen = random.permutation(len(found))[:n_items]
            self._cells[cell] = [found[k] for k in chosen]

    def accuracy(self, model: LayerSplitLM, tokenizer: TextTokenizer) -> dict[str, float]:
        """Share of right answers by pairing and cell, such as `s2s_both`."""
        values = {}
        for pairing in PAIRINGS:
            for cell in CELLS if pairing[0] == "s" else ("wording",):
                if self._cells[cell]:
                    right = self._right(model, tokenizer, pairing, self._cells[cell])
                    values[f"{pairing}_{cell}"] = round(float(np.mean(right)), 4)
        return values

    def _right(
        self,
        model: LayerSplitLM,
        tokenizer: TextTokenizer,
        pairing: str,
        items: Sequence[tuple[Dialogue, str]],
    ) -> list[bool]:
        output: Output = "text" if pairing[-1] == "t" else "audio"
        right = []
        for first in range(0, len(items), _BATCH):
            batch = items[first : first + _BATCH]
            prompts = [
                prompt_rows([self._asked(d, i, pairing)], output, tokenizer, model.config)
                for d, i in batch
            ]
            replies = generate(model, prompts, GREEDY, [0] * len(batch), _MAX_ROWS)
            if output == "text":
                said = [reply_text(r.rows_TC, tokenizer, model.config) for r in replies]
            else:
                said = [n.answer for n in self._known.nearest([r.codes for r in replies])]
            right += [s == d.turns[1].text for s, (d, _) in zip(said, batch, strict=True)]
        return right

    def _asked(self, dialogue: Dialogue, utterance: str, pairing: str) -> Turn:
        if pairing[0] == "t":
            return Turn("user", dialogue.turns[0].text)
        return Turn("user", codes=self._codes[utterance].tolist())
