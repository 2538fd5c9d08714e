"""Reading params.yaml: strict YAML in, frozen validated sections out."""

from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


class Params(BaseModel):
    """A section of params.yaml: unknown keys refused, nothing coerced, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StageParams(Params):
    """What every stage has."""

    threads: int = Field(ge=1, le=256)
    """CPU threads of the stage; part of its result, so never the scheduler's choice."""


def _in_order(bounds: list[float]) -> list[float]:
    if not bounds[0] <= bounds[1]:  # NaN is in no order
        raise ValueError("must be [low, high]")
    return bounds


Range = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_in_order)]
"""Lowest and highest value."""

P = TypeVar("P", bound=Params)


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses repeated keys instead of keeping the last."""


def _mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"{node.start_mark.name} repeats the key {key!r}")
    return {
        key: loader.construct_object(value, deep=True)
        for key, (_, value) in zip(keys, node.value, strict=True)
    }


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; a `ValueError` names the file and a repeated key."""
    try:
        with path.open(encoding="utf-8") as stream:
            value = yaml.load(stream, _UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, must hold a mapping")
    return value


def brief(value: Any) -> str:
    """A value for a message, shortened: YAML aliases make small files hold endless values."""
    short = Repr()
    short.maxlevel, short.maxstring, short.maxlong, short.maxother = 2, 300, 300, 300
    return short.repr(value)


def _explain(where: str, error: ValidationError) -> str:
    lines = []
    for wrong in error.errors():
        key = f"{where}{'' if where.endswith(': ') else '.'}{'.'.join(map(str, wrong['loc']))}"
        if wrong["type"] == "missing":
            lines.append(f"{key} is missing")
        else:
            lines.append(f"{key} is {brief(wrong['input'])}: {wrong['msg']}")
    return "\n".join(lines)


def validate_section(value: Any, cls: type[P], where: str) -> P:
    """Validate one section; the `ValueError` names each key by its full path, value and limit."""
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise ValueError(_explain(where, error)) from None


def load_section(path: Path, section: str, cls: type[P]) -> P:
    """Read one section of a params file; `ValueError` if it is missing or wrong."""
    values = read_yaml(path)
    if section not in values:
        raise ValueError(f"{path} has no section {section!r}; it has {', '.join(map(str, values))}")
    return validate_section(values[section], cls, f"{path.name}: {section}")
