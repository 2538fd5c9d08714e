"""Values on their way into the catalogue: figures and times."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moss_speech.catalogue.models import Figure, figures
from moss_speech.catalogue.tables import Utc


def test_figures_are_read_by_name_with_their_intervals() -> None:
    metrics = {
        "accuracy": {"s2s": {"value": 0.8, "ci95": [0.7, 0.9], "n": 120, "codes": 0.75}},
        "retention": {"after": {"value": 1.0}, "worse": 1},
        "seed": "text",
        "peak": float("nan"),
    }
    assert figures(metrics) == {
        "s2s": Figure(0.8, 0.7, 0.9, 120),
        "s2s.codes": Figure(0.75),
        "retention.after": Figure(1.0),
        "retention.worse": Figure(1.0),
    }


@given(st.datetimes(timezones=st.timezones()))
def test_time_keeps_its_instant_on_a_database_without_zones(moment: datetime) -> None:
    stored = Utc().process_bind_param(moment, dialect=None)
    assert Utc().process_result_value(
        stored.replace(tzinfo=None), dialect=None
    ) == moment.astimezone(UTC)


def test_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        Utc().process_bind_param(datetime(2026, 1, 1), dialect=None)
