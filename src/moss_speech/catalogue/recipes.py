"""Recipes of versions: written once, at the first registration."""

from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from moss_speech.catalogue.gate_tables import Recipe


@dataclass(frozen=True)
class RecipeFacts:
    """Code, params, data and packages that made a version; see the columns of `Recipe`."""

    commit: str
    edited: list[str]
    params: str
    lock: str
    packages: dict[str, str]


def record_recipe(session: Session, version: int, recipe: RecipeFacts) -> None:
    """Write the recipe of a version, unless it has one."""
    if session.get(Recipe, version) is None:
        session.add(Recipe(version=version, **asdict(recipe)))


def recipe_of(session: Session, version: int) -> RecipeFacts:
    """The recipe of a version; `ValueError` if it was registered without one."""
    if (row := session.get(Recipe, version)) is None:
        raise ValueError(
            f"version {version} was registered without its recipe, so it cannot be made again; "
            "versions registered from now on carry it"
        )
    return RecipeFacts(**{name: getattr(row, name) for name in RecipeFacts.__dataclass_fields__})
