"""What can be verified of an answer by rule: the checks of an instruction suite."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from moss_speech.params.base import Params

Phrases = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Count(Params):
    """So many words or sentences."""

    kind: Literal["words", "sentences"]
    at_least: int = Field(default=0, ge=0)
    at_most: int = Field(ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.at_least > self.at_most:
            raise ValueError(
                f"at_least is {self.at_least}, must be at most at_most ({self.at_most})"
            )
        return self


class Keywords(Params):
    """Every phrase occurs (`contains`) or none does (`excludes`), whole words side by side."""

    kind: Literal["contains", "excludes"]
    phrases: Phrases


class Edge(Params):
    """The answer's first or last words."""

    kind: Literal["starts", "ends"]
    phrase: str = Field(min_length=1)


class Form(Params):
    """How the answer is written; nothing that can be heard."""

    kind: Literal["form"]
    form: Literal["json", "lower case", "upper case", "one line", "bullets"]


Check = Annotated[Count | Keywords | Edge | Form, Field(discriminator="kind")]
HEARD = ("words", "contains", "excludes", "starts", "ends")
"""Kinds that mean something for a spoken answer as well."""
