"""A bundle opens and answers, in a process of its own with a time limit.

    python -m moss_speech.registry.trial BUNDLE SECONDS

A bundle that hangs or crashes ends that process and nothing else; its memory is not limited.
"""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from moss_speech.settings import child_environment

_LAST = 400
"""Characters of an unexpected error that are kept."""
_MIN_ROWS = 12
"""Rows of the answer, 80 ms each, that are asked for even if the model would say less."""


def try_bundle(folder: Path, within_s: float) -> dict[str, float]:
    """Open a bundle and ask it; returns `latency.first_audio_s` and `latency.real_time_factor`.

    Raises `ValueError` with the reason if it cannot be opened or gives no answer in time.
    """
    command = [sys.executable, "-m", __name__, str(folder), str(within_s)]
    try:
        done = subprocess.run(
            command,
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"{folder} did not open and answer within gates.answers_within_s, {within_s:g} s"
        ) from None
    if done.returncode == 0:
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise ValueError(f"{folder} ended the process that opened it ({name})")
    reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
    raise ValueError(f"the bundle does not answer: {reason[0][:_LAST]}")


def _answer(folder: Path) -> dict[str, float]:
    """Have it hear and answer its own voice's prompt; the second answer is the timed one."""
    import numpy as np

    from moss_speech.bundle import Bundle
    from moss_speech.inference.engine import Engine
    from moss_speech.inference.turns import Turn
    from moss_speech.lm.sampling import GREEDY

    engine = Engine(Bundle.open(folder))
    if not engine.voices:
        raise ValueError(f"{folder} has no voice, must have at least one")
    voice, sampling = engine.bundle.voices[engine.voices[0]], replace(GREEDY, min_rows=_MIN_ROWS)
    asked = Turn("user", audio=voice.prompt, sample_rate_hz=engine.sample_rate_hz)
    heard_s = engine.reply_batch([[asked]], sampling=sampling)[0].timings.heard_s
    codes = Turn("user", codes=tuple(int(code) for code in voice.codes))
    reply = engine.reply([codes], sampling=sampling, seed=0)
    if not reply.audio.size or not np.isfinite(reply.audio).all():
        raise ValueError(f"{folder}: the answer is empty or holds samples that are no numbers")
    timings = reply.timings.after(heard_s)
    return {
        "latency.first_audio_s": timings.first_s,
        "latency.real_time_factor": timings.total_s / reply.audio_s,
    }


def main() -> None:
    """Answer on standard output; the process ends itself should nobody be left to end it."""
    folder, within_s = Path(sys.argv[1]), float(sys.argv[2])
    signal.setitimer(signal.ITIMER_REAL, within_s)
    try:
        print(json.dumps(_answer(folder)))
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        sys.exit(kind + " ".join(str(error).split()))


if __name__ == "__main__":
    main()
