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


def fitting_prompt(
    bundle: Bundle, turns: Sequence[grid.Turn], output: Output, capacity: int, answer_rows: int
) -> Rows:
    """`prompt_of` with the oldest turns left out until an answer of so many rows fits.

    The system turn and the last turn stay; `QuestionError` if even they do not fit.
    """
    n_system = int(turns[0].role == "system")
    while True:
        try:
            return prompt_of(bundle, turns, output, capacity - answer_rows + 1)
        except QuestionError:
            if len(turns) <= n_system + 1:
                return prompt_of(bundle, turns, output, capacity)
            turns = [*turns[:n_system], *turns[n_system + 1 :]]


def opening_rows(bundle: Bundle, turns: Conversation, output: Output) -> Rows:
    """Rows of what was said so far and of the head of a spoken turn of the user, [T, 2]."""
    writer = GridWriter(bundle.tokenizer, bundle.lm.config)
    said = [read_turn(bundle, turn) for turn in turns]
    pieces = [writer.turn(turn) for turn in grid.with_system(said, output)]
    return np.concatenate([*pieces, writer.header("user", "audio")])
