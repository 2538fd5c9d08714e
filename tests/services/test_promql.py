"""The check of queries finds what is not served."""

import pytest

from tests.services.promql import Selector, faults, served_by, used_by

SERVED = served_by(
    "\n".join(
        [
            "# TYPE work_seconds histogram",
            'work_seconds_bucket{kind="think",le="1.0"} 1.0',
            'work_seconds_bucket{kind="think",le="+Inf"} 1.0',
            'work_seconds_count{kind="think"} 1.0',
            'work_seconds_sum{kind="think"} 0.5',
            "# TYPE refused_total counter",
            'refused_total{code="a"} 1.0',
            "# TYPE workers gauge",
            "workers 1.0",
            "",
        ]
    )
)


def test_metrics_matchers_and_groups_are_found() -> None:
    used = used_by(
        'histogram_quantile(0.95, sum by (le, kind) (rate(work_seconds_bucket{kind=~"a|b",'
        "x!='}'}[$__rate_interval]))) / on(job) group_left workers or absent(up) > bool 1e-3"
    )
    assert used.selectors == (
        Selector("work_seconds_bucket", (("kind", "=~", "a|b"), ("x", "!=", "}"))),
        Selector("workers", ()),
        Selector("up", ()),
    )
    assert used.groups == {"le", "kind", "job"}


@pytest.mark.parametrize(
    "expression",
    [
        "sum(workers)",
        'rate(refused_total{code="not yet seen"}[5m])',
        "histogram_quantile(0.5, sum by (le) (rate(work_seconds_bucket[5m])))",
        'sum by (kind) (work_seconds_sum{kind=~"think|speak"})',
        'up{job="moss-speech"} == 0',
    ],
)
def test_queries_of_what_is_served_pass(expression: str) -> None:
    assert faults(expression, SERVED) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(worker)", "no metric worker"),
        ("rate(work_seconds[5m])", "no metric work_seconds"),
        ("sum by (kinds) (work_seconds_sum)", "no label kinds of work_seconds_sum"),
        ('refused_total{codes="a"}', "no label codes of refused_total"),
        ('work_seconds_sum{kind="rest"}', "no sample of work_seconds_sum with"),
        ("1 + 1", "no metric in"),
    ],
)
def test_queries_of_anything_else_are_found(expression: str, fault: str) -> None:
    assert any(found.startswith(fault) for found in faults(expression, SERVED))


def test_what_is_no_promql_is_refused() -> None:
    with pytest.raises(ValueError, match="no PromQL"):
        used_by("sum(a) ; drop")
