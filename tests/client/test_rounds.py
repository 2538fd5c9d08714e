"""Rounds begin together and go on without those who left."""

import asyncio

from moss_speech.client.rounds import Rounds


def test_rounds_begin_together_and_nobody_waits_for_who_left() -> None:
    begun: list[tuple[int, int]] = []

    async def take_part(rounds: Rounds, me: int, n: int) -> None:
        for i in range(n):
            await asyncio.sleep(0.001 * me)
            await rounds.next()
            begun.append((i, me))
        rounds.leave()

    async def everybody() -> None:
        rounds = Rounds(3)
        async with asyncio.timeout(10):
            await asyncio.gather(*(take_part(rounds, me, me) for me in (1, 2, 3)))

    asyncio.run(everybody())
    assert [i for i, _ in begun] == sorted(i for i, _ in begun)
    assert sorted(begun) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
