"""Templates of this package with the filters that pages use."""

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def render(name: str, context: Mapping[str, Any]) -> str:
    """A page of this package; what cannot be written as UTF-8 becomes a question mark."""
    return _template(name).render(context).encode(errors="replace").decode()


def _template(name: str) -> Template:
    """What is said in a page is escaped, what is missing is an error."""
    environment = Environment(
        loader=PackageLoader("moss_speech.evaluation.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {
        "pct": percent,
        "points": points,
        "share": _share,
        "bars": _bars,
        "short": short,
        "length_of": length,
    }
    return environment.get_template(name)


def percent(value: float) -> str:
    """A share as people read it: 0.925 is 92.5 %."""
    return f"{100 * value:.1f}".removesuffix(".0") + "\N{NARROW NO-BREAK SPACE}%"


def points(value: float, sign: bool = False) -> str:
    """A difference of shares: 0.015 is 1.5 points; `sign` writes a plus too."""
    rounded = round(100 * value, 1) or 0.0
    number = f"{rounded:{'+' if sign and rounded else ''}.1f}".removesuffix(".0")
    return number.replace("-", "\N{MINUS SIGN}") + " points"


def short(digest: str) -> str:
    """The opening of a digest or run id, enough to name it."""
    return digest[:12]


def length(seconds: float) -> str:
    """A duration as people read it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes / 60:.1f} h"


def _share(value: float) -> str:
    return f"{100 * min(1.0, max(0.0, value)):.2f}%"


def _bars(outline: Iterable[float]) -> str:
    """SVG path of a clip's outline: one stroke a point, 4 units apart, around y = 16."""
    heights = [max(1, round(14 * level)) for level in outline]
    return "".join(f"M{2 + 4 * i} {16 - h}v{2 * h}" for i, h in enumerate(heights))
