from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows._dvc import Graph, Schedule, schedule_of

GRAPH = Graph(
    {
        "corpus": frozenset(),
        "codec": frozenset({"corpus"}),
        "vocoder": frozenset({"corpus"}),
        "pack": frozenset({"codec"}),
        "lm": frozenset({"pack"}),
        "bundle": frozenset({"lm", "vocoder"}),
    }
)
ALL = frozenset(GRAPH.parents)


def schedule(cores: int, wanted: frozenset[str] = ALL, **threads: int) -> Schedule:
    return Schedule(GRAPH, wanted, {name: threads.get(name, 1) for name in ALL}, cores)


def test_independent_stages_start_side_by_side_longest_chain_first() -> None:
    plan = schedule(cores=2)
    assert list(plan.startable()) == ["corpus"]
    plan.finish("corpus")
    assert list(plan.startable()) == ["codec", "vocoder"]


def test_stage_of_the_longest_chain_is_never_overtaken() -> None:
    plan = schedule(cores=2, codec=2)
    next(plan.startable())
    plan.finish("corpus")
    assert list(plan.startable()) == ["codec"]
    plan.finish("codec")
    assert list(plan.startable()) == ["pack", "vocoder"]


def test_stage_that_wants_more_than_all_cores_runs_alone() -> None:
    plan = schedule(cores=1, corpus=8)
    assert list(plan.startable()) == ["corpus"]


def test_only_what_is_wanted_runs() -> None:
    wanted = GRAPH.downstream("lm")
    plan = schedule(2, wanted)
    assert wanted == {"lm", "bundle"}
    assert list(plan.startable()) == ["lm"]


def test_unknown_stage_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no stage 'trian'; dvc\.yaml has corpus"):
        GRAPH.downstream("trian")


@given(cores=st.integers(1, 4), threads=st.tuples(*[st.integers(1, 4)] * 6), pick=st.randoms())
def test_any_order_of_endings_runs_each_stage_once_after_its_parents(
    cores: int, threads: tuple[int, ...], pick: Random
) -> None:
    plan = schedule(cores, **dict(zip(sorted(ALL), threads, strict=True)))
    started: list[str] = []
    while plan.done < ALL:
        for stage in plan.startable():
            assert GRAPH.parents[stage] <= plan.done
            started.append(stage)
        assert plan.running, "nothing runs and nothing may start"
        assert len(plan.running) == 1 or sum(plan.threads[s] for s in plan.running) <= cores
        plan.finish(pick.choice(sorted(plan.running)))
    assert sorted(started) == sorted(ALL)


def test_threads_come_from_the_params_file(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("lm: {threads: 2}\n")
    assert schedule_of(tmp_path, GRAPH, frozenset({"lm"})).threads == {"lm": 2}
    with pytest.raises(ValueError, match="no section 'bundle'"):
        schedule_of(tmp_path, GRAPH, frozenset({"bundle"}))
