"""Conversations side by side: each as if alone, the most urgent first, nothing left behind."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from moss_speech.inference.engine import Engine
from moss_speech.inference.observer import Kind, Silent
from moss_speech.inference.scheduler import Scheduler, Space
from moss_speech.inference.session import Session
from moss_speech.inference.turns import (
    AudioDelta,
    Detection,
    Failed,
    Finished,
    Heard,
    LiveEvent,
    Refused,
    Reply,
    Turn,
    Wish,
)
from moss_speech.inference.worker import Worker
from moss_speech.lm.sampling import GREEDY
from tests.tiny_bundle import spoken

SPACE = Space(sessions=4, rows=512, mouths=2)
TEXTS = ("what color is the grass", "two", "why is it so", "what is two and three")


class Talker:
    """A client in the engine's own thread."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.events: list[LiveEvent] = []
        self.session: Session = scheduler.open(self.events.append)

    def finished(self) -> Reply | None:
        last = self.events[-1] if self.events else None
        return last.reply if isinstance(last, Finished) else None


def run(scheduler: Scheduler, *talkers: Talker) -> list[Reply]:
    deadline = time.monotonic() + 60
    while any(talker.finished() is None for talker in talkers):
        scheduler.tick()
        assert time.monotonic() < deadline
    return [reply for t in talkers if (reply := t.finished()) is not None]


def wish(engine: Engine, seed: int = 1, **changes: object) -> Wish:
    return replace(engine.wish(seed=seed), live=False, **changes)  # type: ignore[arg-type]


def ask(text: str) -> list[Turn]:
    return [Turn("user", text=text)]


def test_answers_side_by_side_are_those_of_each_alone(engine: Engine) -> None:
    alone = []
    for k, text in enumerate(TEXTS):
        scheduler = engine.scheduler(SPACE)
        talker = Talker(scheduler)
        talker.session.respond(ask(text), wish(engine, seed=k))
        alone += run(scheduler, talker)
    scheduler = engine.scheduler(SPACE)
    talkers = [Talker(scheduler) for _ in TEXTS]
    for k, (text, talker) in enumerate(zip(TEXTS, talkers, strict=True)):
        talker.session.respond(ask(text), wish(engine, seed=k))
        for _ in range(3 * k):
            scheduler.tick()
    for have, want in zip(run(scheduler, *talkers), alone, strict=True):
        assert have.codes == want.codes
        assert np.array_equal(have.audio, want.audio)
        assert have.audio.size == 1920 * len(have.codes)


def test_turn_that_is_heard_while_it_is_said_leaves_little_to_read(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    talker = Talker(scheduler)
    session, question = talker.session, spoken()
    session.remember([], "audio")
    for k in range(0, question.size, 1280):
        session.hear(question[k : k + 1280])
        while scheduler.tick():
            pass
    session.commit()
    while not talker.events:
        scheduler.tick()
    heard = talker.events.pop()
    assert isinstance(heard, Heard)
    session.respond([Turn("user", codes=heard.codes)], wish(engine, sampling=GREEDY))
    assert session.answer is not None
    request = session.answer.request
    assert len(request.prompt_TC) - request.read < 4 + 4 + 16  # not heard, not read, the head
    (reply,) = run(scheduler, talker)
    whole = engine.reply([Turn("user", codes=heard.codes)], sampling=GREEDY, seed=1)
    assert reply.codes == whole.codes


def test_next_turn_reads_only_what_is_new(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    talker = Talker(scheduler)
    turns = ask("what color is the grass")
    for _ in range(3):
        talker.session.respond(turns, wish(engine))
        assert talker.session.answer is not None
        n_read = len(talker.session.answer.request.prompt_TC)
        (reply,) = run(scheduler, talker)
        talker.events.clear()
        turns = [*turns, Turn("assistant", codes=reply.codes), *ask("and why")]
        talker.session.respond(turns, wish(engine))
        assert talker.session.answer is not None
        request = talker.session.answer.request
        n_kept = n_read + len(reply.codes) - 1  # nothing followed the last code yet
        assert request.read >= n_kept, "the past was read again"
        talker.session.cancel()
        talker.events.clear()


def test_cancelled_answer_stops_at_once_and_tells_what_was_made(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    first, beside = Talker(scheduler), Talker(scheduler)
    first.session.respond(ask("why"), wish(engine))
    beside.session.respond(ask("why"), wish(engine))
    while not first.events:
        scheduler.tick()
    first.session.cancel()
    (*pieces, last) = first.events
    assert isinstance(last, Finished) and last.reply.finish == "cancelled"
    said = np.concatenate([e.samples for e in pieces if isinstance(e, AudioDelta)])
    assert np.array_equal(said, last.reply.audio)
    assert 0 < said.size <= 1920 * len(last.reply.codes)
    run(scheduler, beside)
    assert first.events[-1] is last
    first.session.cancel()
    assert first.events[-1] is last


def test_closed_conversation_frees_its_place_and_says_nothing_more(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    for _ in range(3 * SPACE.sessions):
        talker = Talker(scheduler)
        talker.session.respond(ask("why"), wish(engine))
        while not talker.events:
            scheduler.tick()
        n_events = len(talker.events)
        talker.session.close()
        scheduler.tick()
        assert len(talker.events) == n_events
    assert not scheduler.is_busy
    full = [Talker(scheduler) for _ in range(SPACE.sessions)]
    with pytest.raises(ValueError, match="no slot is free"):
        Talker(scheduler)
    for talker in full:
        talker.session.close()


def test_live_answer_is_made_no_faster_than_it_is_played(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    live, whole = Talker(scheduler), Talker(scheduler)
    long = replace(wish(engine, sampling=replace(GREEDY, min_rows=400)), max_rows=100)
    live.session.respond(ask("why"), replace(long, live=True))
    whole.session.respond(ask("why"), long)
    run(scheduler, whole)
    while scheduler.tick():
        pass
    assert live.session.answer is not None, "8 s of speech were made at once"
    made_s = len(live.session.answer.request.reply.rows) * 0.08
    assert 2.0 <= made_s < 5.0
    live.session.close()


def test_recordings_that_are_sent_whole_do_not_hold_up_live_listeners(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    live, *others = (Talker(scheduler) for _ in range(4))
    long = np.resize(spoken(), 20 * 16000)
    for other in others:
        other.session.hear_whole(long)
    waiting = [sum(o.session.ear.waiting_s for o in others)]
    for k in range(0, 16000, 1280):
        live.session.hear(spoken()[k : k + 1280])
        scheduler.tick()
        assert not live.session.ear.busy
        waiting.append(sum(o.session.ear.waiting_s for o in others))
    steps = -np.diff(waiting)
    assert (steps > 0).all() and (steps < 0.4).all(), "one piece of one recording a tick"
    assert all(o.session.ear.waiting_s < 20 for o in others), "all of them in turn"


def test_who_runs_dry_first_is_served_first(engine: Engine) -> None:
    scheduler = engine.scheduler(replace(SPACE, mouths=1))
    first, second = Talker(scheduler), Talker(scheduler)
    for talker in (first, second):
        talker.session.respond(ask("why"), wish(engine, sampling=replace(GREEDY, min_rows=30)))
    assert first.session.answer is not None and second.session.answer is not None
    now_s = time.monotonic()
    first.session.answer.due_s, second.session.answer.due_s = now_s + 5, now_s + 4
    while not (first.events or second.events):
        scheduler.tick()
    assert second.events and not first.events
    second.session.answer.due_s = now_s + 9
    while not first.events:
        n_second = len(second.events)
        scheduler.tick()
        assert len(second.events) == n_second
    run(scheduler, first, second)


def test_refusals_leave_the_conversation_as_it_was(engine: Engine) -> None:
    scheduler = engine.scheduler(SPACE)
    talker = Talker(scheduler)
    bad: list[tuple[list[Turn], Wish, str]] = [
        (ask("?!"), wish(engine), "empty_text"),
        (ask("word " * 900), wish(engine), "conversation_too_long"),
        (ask("why"), wish(engine, voice="nobody"), "unknown_voice"),
        ([Turn("user", codes=(1, 10_000))], wish(engine), "invalid_turn"),
        ([Turn("user", codes=())], wish(engine), "invalid_turn"),
    ]
    for turns, wanted, code in bad:
        talker.session.respond(turns, wanted)
        refused = talker.events.pop()
        assert isinstance(refused, Refused) and (refused.what, refused.code) == ("respond", code)
    talker.session.respond(ask("why"), wish(engine))
    run(scheduler, talker)


def test_oldest_turns_make_room_if_that_is_wished(engine: Engine) -> None:
    scheduler = engine.scheduler(replace(SPACE, rows=256))
    talker = Talker(scheduler)
    turns = [Turn("system", text="be kind")]
    turns += [Turn("user", text=f"question {k} " * 8) for k in range(9)]
    talker.session.respond(turns, wish(engine))
    refused = talker.events.pop()
    assert isinstance(refused, Refused) and refused.code == "conversation_too_long"
    talker.session.respond(turns, wish(engine, drop_oldest=True))
    (reply,) = run(scheduler, talker)
    assert reply.finish in ("stop", "length")
    assert reply.usage.prompt_text_rows < 256 - len(reply.codes)


def test_failure_ends_all_conversations_and_the_next_one_is_answered(engine: Engine) -> None:
    worker = Worker(engine.scheduler(SPACE))
    events: list[LiveEvent] = []
    line = worker.open(events.append)
    line.call(Session.listen, 16000, Detection())

    def broken() -> None:
        raise RuntimeError("something is broken")

    worker.post(broken)
    deadline = time.monotonic() + 10
    while not events and time.monotonic() < deadline:
        time.sleep(0.01)
    assert events == [Failed("RuntimeError in the engine")]
    after: list[LiveEvent] = []
    beside = worker.open(after.append)
    line.call(Session.commit)
    line.close()
    beside.call(Session.respond, ask("why"), wish(engine))
    while not (after and isinstance(after[-1], Finished)) and time.monotonic() < deadline + 20:
        time.sleep(0.01)
    assert isinstance(after[-1], Finished)
    worker.stop()


def test_answer_that_finds_no_room_to_speak_leaves_nothing_behind(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise RuntimeError("out of memory")

    scheduler = engine.scheduler(replace(SPACE, sessions=1))
    talker = Talker(scheduler)
    with monkeypatch.context() as full:
        full.setattr(engine.bundle.decoder, "room", no_memory)
        with pytest.raises(RuntimeError, match="out of memory"):
            talker.session.respond(ask("why"), wish(engine))
    scheduler.fail("out of memory")
    assert talker.events == [Failed("out of memory")]
    after = Talker(scheduler)
    after.session.respond(ask("why"), wish(engine))
    run(scheduler, after)


def test_engine_that_only_fails_gives_up(engine: Engine) -> None:
    def broken() -> None:
        raise RuntimeError("the device is lost")

    def told(n: int, events: list[LiveEvent]) -> bool:
        deadline = time.monotonic() + 20
        while len(events) < n and time.monotonic() < deadline:
            time.sleep(0.01)
        return len(events) == n

    worker = Worker(engine.scheduler(SPACE))
    for _ in range(2):
        events: list[LiveEvent] = []
        worker.open(events.append)
        worker.post(broken)
        assert told(1, events)
    events = []
    line = worker.open(events.append)
    line.call(Session.hear_whole, spoken("two"))  # works: the failures before were others' fault
    assert told(1, events)
    line.close()
    for _ in range(2):
        worker.post(broken)
    time.sleep(0.1)
    assert worker.works
    worker.post(broken)
    worker._thread.join(10)
    assert not worker.works


class Holding(Silent):
    """Counts conversations, and holds the engine's thread in its work until it may go on."""

    def __init__(self) -> None:
        self.n_open, self.works, self.go_on = 0, threading.Event(), threading.Event()

    def session(self, delta: int) -> None:
        self.n_open += delta

    def engine_step(self, kind: Kind, seconds: float, batch: int) -> None:
        self.works.set()
        assert self.go_on.wait(10)


def test_conversation_that_ends_just_before_the_thread_is_counted_out(engine: Engine) -> None:
    observer = Holding()
    worker = Worker(engine.scheduler(SPACE, observer))
    line = worker.open(lambda event: None)
    line.call(Session.respond, ask("why"), wish(engine))
    assert observer.works.wait(10)
    line.close()
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    while not worker._stopping:
        time.sleep(0.01)
    observer.go_on.set()
    stopping.join()
    assert observer.n_open == 0


def test_model_that_learnt_single_exchanges_is_not_given_earlier_ones(engine: Engine) -> None:
    card = engine.bundle.card
    params = {"pack": {"finetune": {"max_exchanges": 1}}}
    single = card.model_copy(update={"about": card.about.model_copy(update={"params": params})})
    scheduler = Engine(replace(engine.bundle, card=single)).scheduler(SPACE)
    talker = Talker(scheduler)
    talker.session.respond(ask("why"), wish(engine, drop_oldest=True))
    (first,) = run(scheduler, talker)
    talker.events.clear()
    earlier = [*ask("two"), Turn("assistant", codes=first.codes), *ask("why")]
    talker.session.remember(earlier, "audio")
    while scheduler.tick():
        pass
    talker.session.respond(earlier, wish(engine, drop_oldest=True))
    (second,) = run(scheduler, talker)
    talker.events.clear()
    assert second.codes == first.codes
    assert second.usage.prompt_text_rows == first.usage.prompt_text_rows
    talker.session.respond(earlier, wish(engine))
    (third,) = run(scheduler, talker)
    assert third.usage.prompt_audio_rows > len(first.codes)
