"""What the routes share: the loaded models, access, stored answers, metrics; who may come in."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import torch

from moss_speech.inference.engine import Engine
from moss_speech.inference.scheduler import Space
from moss_speech.settings import Settings
from services.access import Access, Caller
from services.answers import Answers
from services.deployed import Deployed
from services.follow import follow
from services.loaded import Loaded
from services.loading import load_serving
from services.metrics import Metrics
from services.packed import packed_model
from services.recording import open_recorder
from services.served import ModelInfo
from services.talk import Talk
from services.taping import Taping
from services.traces import open_traces
from services.transactions import Transactions
from services.watch import Watch


class Runtime:
    """One worker's; made before the event loop runs, started in it."""

    def __init__(
        self, engine: Engine, model: ModelInfo, metrics: Metrics, chosen: Settings
    ) -> None:
        self.metrics, self._chosen = metrics, chosen
        self._transactions = Transactions(chosen.catalogue_url)
        self.answers = Answers(self._transactions)
        self.access = Access(chosen, self._transactions)
        self.recorder = open_recorder(chosen)
        self._models = Loaded(engine, model, Space(chosen.sessions, chosen.session_rows), metrics)
        self._deployed = Deployed(self._models, chosen.catalogue_url)
        self._traces = open_traces(chosen, model.version)
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def engine(self) -> Engine:
        """What is known of the model that new conversations get."""
        return self._models.current.engine

    @property
    def model(self) -> ModelInfo:
        """Which model new conversations get."""
        return self._models.current.info

    @property
    def works(self) -> bool:
        """Whether conversations can be answered; if not, only another process can."""
        return self._models.works

    def start(self) -> None:
        """Begin to follow the champion, and to tell what is served."""
        self._spawn(follow(self._models, self._chosen, self.metrics))
        self._spawn(self._deployed.follow())

    async def open(self, caller: Caller, may_record: bool) -> Talk:
        """Begin a conversation, recorded if the settings and the client agree to it.

        Raises `ApiError`: 429 when the caller has too many, 503 with the seconds after which to try
        again when all places are taken, or when one more would break the sound of the others.
        """
        place = AsyncExitStack()
        await place.enter_async_context(self.access.admit(caller))
        try:
            served = await self._models.place()
        except BaseException:
            await place.aclose()
            raise

        def left() -> None:
            self._spawn(place.aclose())
            self._spawn(self._models.left(served))

        watch = Watch(self.metrics, self._traces, served.info.version)
        recorder = self.recorder if may_record else None
        taping = None if recorder is None else Taping(recorder, caller, served.info)
        return Talk(served, watch, left, taping)

    def spend(self, caller: Caller, tokens: int) -> None:
        """Count a caller's tokens soon; returns at once."""
        self._spawn(self.access.spend(caller, tokens))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End the engines' threads."""
        self._models.stop()
        self._deployed.close()
        self._transactions.close()
        if self.recorder is not None:
            self.recorder.close()
        if self._traces is not None:
            self._traces.close()


def load_runtime(chosen: Settings) -> Runtime:
    """Everything that the routes need, ready to answer."""
    torch.set_num_threads(chosen.threads)
    engine, model = load_serving(chosen, packed_model(chosen))
    return Runtime(engine, model, Metrics(), chosen)
