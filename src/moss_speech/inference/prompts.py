"""From turns as clients give them to rows that the language model reads.

Shapes: T grid rows, C channels.
"""

from collections.abc import Sequence

import numpy as np

from moss_speech.bundle import Bundle
from moss_speech.inference.turns import Conversation, Output, QuestionError, Turn
from moss_speech.lm import grid
from moss_speech.lm.grid import GridWriter, Rows
from moss_speech.speech.text import normalise

_TO_COME = grid.Turn("user", codes=(0,))
"""Stands for a turn of the user that is still being said."""


def read_turn(bundle: Bundle, turn: Turn) -> grid.Turn:
    """A turn of text or codes; what people typed is brought to the corpus's form."""
    if turn.text is None:
        return grid.Turn(turn.role, codes=turn.codes)
    plain = bundle.card.about.normalise_text and turn.role != "system"
    text = normalise(turn.text) if plain else turn.text.strip()
    if not text:
        raise QuestionError("empty_text", f"a {turn.role} turn holds no word, must hold one")
    return grid.Turn(turn.role, text=text)


def prompt_of(bundle: Bundle, turns: Sequence[grid.Turn], output: Output, capacity: int) -> Rows:
    """Rows of a conversation, [T, 2]; `QuestionError` if they leave no row for an answer."""
    try:
        prompt_TC = grid.prompt_rows(turns, output, bundle.tokenizer, bundle.lm.config)
    except grid.TooLongError as error:
        raise QuestionError("conversation_too_long", str(error)) from error
    if len(prompt_TC) >= capacity:
        raise QuestionError(
            "conversation_too_long",
            f"the prompt has {len(prompt_TC)} rows, must have fewer than {capacity}",
        )
    return prompt_TC


def learnt_exchanges(bundle: Bundle) -> int | None:
    """How many exchanges the conversations had that a model learnt from; None if unknown."""
    learnt = bundle.card.about.params.get("pack", {}).get("finetune", {}).get("max_exchanges")
    return learnt if isinstance(learnt, int) else None


def latest(turns: Sequence[grid.Turn], exchanges: int | None) -> Sequence[grid.Turn]:
    """The system turn and the last so many exchanges; all of them for None.

    A model that learnt single exchanges is only confused by earlier ones.
    """
    asked = [at for at, turn in enumerate(turns) if turn.role == "user"]
    if exchanges is None or len(asked) <= exchanges:
        return turns
    n_system = int(turns[0].role == "system")
    return [*turns[:n_system], *turns[asked[-exchanges] :]]


def fitting_prompt(
    bundle: Bundle, turns: Sequence[grid.Turn], output: Output, capacity: int, answer_rows: int
) -> Rows:
    """`prompt_of` without the turns before those that the model has learnt to use at once.

    More of the oldest are left out until an answer of so many rows fits.

    The system turn and the last turn stay; `QuestionError` if even they do not fit.
    """
    turns = latest(turns, learnt_exchanges(bundle))
    n_system = int(turns[0].role == "system")
    while True:
        try:
            return prompt_of(bundle, turns, output, capacity - answer_rows + 1)
        except QuestionError:
            if len(turns) <= n_system + 1:
                return prompt_of(bundle, turns, output, capacity)
            turns = [*turns[:n_system], *turns[n_system + 1 :]]


def opening_rows(bundle: Bundle, turns: Conversation, output: Output, listening: bool) -> Rows:
    """Rows of what was said so far and of the head of what comes next, [T, 2].

    It is speech of the user if one is `listening`, or if the last turn is not the user's; else the
    answer.
    """
    said = [read_turn(bundle, turn) for turn in turns]
    exchanges = learnt_exchanges(bundle)
    if said and said[-1].role == "user" and not listening:
        return grid.prompt_rows(latest(said, exchanges), output, bundle.tokenizer, bundle.lm.config)
    writer = GridWriter(bundle.tokenizer, bundle.lm.config)
    kept = latest([*said, _TO_COME], exchanges)[:-1]
    pieces = [writer.turn(turn) for turn in grid.with_system(kept, output)]
    return np.concatenate([*pieces, writer.header("user", "audio")])
