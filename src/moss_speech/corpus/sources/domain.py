"""The embedded domain: 44 facts in five categories, asked in eleven wordings each.

Every answer has a fixed start and one answer word. Test wordings are rephrasings; each of their
words occurs in a training wording of some category, so a model can know how it sounds.
"""

from dataclasses import dataclass

from moss_speech.corpus.items import Split

N_TRAIN_WORDINGS, N_DEV_WORDINGS = 8, 1
"""Of a category's wordings, in order; the rest are test."""


@dataclass(frozen=True)
class Category:
    """Facts of one kind: how they are asked, answered, and which there are.

    `wordings` and `answer` hold `{x}`, `{y}` for what is asked about and `{a}` for the answer.
    """

    name: str
    wordings: tuple[str, ...]
    answer: str
    facts: tuple[tuple[str, ...], ...]
    """Rows of x, answer word; or x, y, answer word."""


@dataclass(frozen=True)
class Fact:
    """One thing to know."""

    id: str
    category: str
    questions: tuple[tuple[Split, str], ...]
    """Split and text of each wording, in order."""
    answer: str
    answer_word: str


CATEGORIES = (
    Category(
        "color",
        (
            "what color is {x}",
            "tell me the color of {x}",
            "which color does {x} have",
            "do you know the color of {x}",
            "{x} has what color",
            "please name the color of {x}",
            "can you say what color {x} is",
            "i want to know which color {x} is",
            "please tell me what color {x} has",
            "can you name the color that {x} has",
            "do you know what color {x} has",
        ),
        "the color is {a}",
        (
            ("grass", "green"),
            ("a frog", "green"),
            ("snow", "white"),
            ("milk", "white"),
            ("the sky", "blue"),
            ("the ocean", "blue"),
            ("a tomato", "red"),
            ("a strawberry", "red"),
            ("a lemon", "yellow"),
            ("a banana", "yellow"),
            ("coal", "black"),
            ("the night", "black"),
        ),
    ),
    Category(
        "animal",
        (
            "which animal {x}",
            "what animal {x}",
            "tell me which animal {x}",
            "name an animal that {x}",
            "do you know what animal {x}",
            "which animal is it that {x}",
            "can you say which animal {x}",
            "can you tell me the name of an animal that {x}",
            "please name the animal that {x}",
            "i want to know what animal it is that {x}",
            "tell me the name of the animal that {x}",
        ),
        "that is a {a}",
        (
            ("guards the house", "dog"),
            ("barks at people", "dog"),
            ("catches mice", "cat"),
            ("purrs on the sofa", "cat"),
            ("gives milk", "cow"),
            ("eats grass", "cow"),
            ("wears a saddle", "horse"),
            ("pulls a carriage", "horse"),
            ("spins a web", "spider"),
            ("hunts flies", "spider"),
            ("climbs trees", "monkey"),
            ("loves bananas", "monkey"),
        ),
    ),
    Category(
        "next",
        (
            "what number comes after {x}",
            "which number comes after {x}",
            "tell me the number that comes after {x}",
            "what comes next after {x}",
            "i want to know what number follows {x}",
            "name the number after {x}",
            "do you know which number follows {x}",
            "after {x} which number comes next",
            "please say what number comes next after {x}",
            "can you tell me which number follows {x}",
            "do you know what number comes after {x}",
        ),
        "the next is {a}",
        (
            ("one", "two"),
            ("two", "three"),
            ("three", "four"),
            ("four", "five"),
            ("five", "six"),
            ("six", "seven"),
            ("seven", "eight"),
            ("eight", "nine"),
        ),
    ),
    Category(
        "count",
        (
            "how many {x} does {y} have",
            "tell me how many {x} {y} has",
            "what number of {x} does {y} have",
            "do you know how many {x} {y} has",
            "can you count the {x} of {y}",
            "say how many {x} {y} has",
            "{y} has how many {x}",
            "name the number of {x} that {y} has",
            "please count the {x} that {y} has",
            "i want to know how many {x} {y} has",
            "please tell me how many {x} {y} has",
        ),
        "the total is {a}",
        (
            ("wheels", "a bicycle", "two"),
            ("sides", "a triangle", "three"),
            ("legs", "a table", "four"),
            ("fingers", "a hand", "five"),
            ("legs", "an insect", "six"),
            ("days", "a week", "seven"),
        ),
    ),
    Category(
        "opposite",
        (
            "what is the opposite of {x}",
            "tell me the opposite of {x}",
            "which word is the opposite of {x}",
            "do you know the opposite of {x}",
            "please name the opposite of {x}",
            "{x} is the opposite of what",
            "can you say the opposite of {x}",
            "what opposite does {x} have",
            "please tell me which word is the opposite of {x}",
            "i want to know the opposite of {x}",
            "please say what the opposite of {x} is",
        ),
        "the opposite is {a}",
        (
            ("hot", "cold"),
            ("fast", "slow"),
            ("small", "big"),
            ("strong", "weak"),
            ("dark", "light"),
            ("summer", "winter"),
        ),
    ),
)
"""All categories; presets choose among them by name."""

TEXT_ONLY = {
    "color-5", "color-9", "animal-5", "animal-9", "next-0", "next-2", "count-4", "count-5"
}  # fmt: skip
"""Facts whose answer is never spoken to a question in training. The first four share their answer
sentence with a fact that is; of the others each word is spoken, but never in one sentence."""

_SALAD = (
    "apple arm baby ball bed bell bird book bottle box bread bridge brother bus cake camera car "
    "chair cheese child city clock cloud coat coffee cup door dream ear egg engine evening eye "
    "face family farm father field fire fish floor flower foot forest friend game garden glass "
    "gold hat head heart hill hospital island jacket key kitchen knife lake lamp letter light "
    "lunch machine man map market mirror money moon morning mother mountain mouth music neck nose "
    "office orange page paper park party pencil picture plane plate river road room school sea "
    "ship shoe shop silver sister smile song spring station stone storm street sugar sun teacher "
    "ticket tower town train tree village wall water window wood yard year"
)
SALAD_WORDS = tuple(_SALAD.split())
"""Everyday words that no fact needs; with them a recogniser hears words, not sentences."""


def wording_split(index: int) -> Split:
    """The split of a category's wording by its place."""
    if index < N_TRAIN_WORDINGS:
        return "train"
    return "dev" if index < N_TRAIN_WORDINGS + N_DEV_WORDINGS else "test"


def facts_of(names: list[str]) -> list[Fact]:
    """Facts of the named categories in order; `ValueError` for a name that does not exist."""
    known = {c.name: c for c in CATEGORIES}
    if unknown := [n for n in names if n not in known]:
        raise ValueError(f"no category {unknown[0]!r}; there are {', '.join(known)}")
    return [fact for name in names for fact in _facts(known[name])]


def _facts(category: Category) -> list[Fact]:
    facts = []
    for number, (*things, answer) in enumerate(category.facts):
        slots = dict(zip("xy", things, strict=False))
        questions = tuple(
            (wording_split(i), wording.format(**slots))
            for i, wording in enumerate(category.wordings)
        )
        sentence = category.answer.format(a=answer)
        facts.append(Fact(f"{category.name}-{number}", category.name, questions, sentence, answer))
    return facts
