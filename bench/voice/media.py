"""What the audio of a call costs without any speech model, and what of it survives loss.

    python -m bench.voice.media --calls 20 40 --seconds 20
    python -m bench.voice.media --calls 10 --loss 0.03

One worker process with real sessions (connection, jitter buffer, decoder, windows, recording,
playout of a line made before), one process of reps with ready packets. `late` is how long after its
time a frame was asked for in the worker, `gap` the spacing of frames as the reps get them. `µs a
frame` is CPU time for one frame in and one out; 400 are 2 % of a core a call. On a busy machine it
is the only figure that says something.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from calls.live import codec
from calls.tests.media import speechlike
from calls.tests.rtc_client import RtcClient


class WorkerProcess:
    """The other end of `bench.voice.media_worker`."""

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.voice.media_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )

    async def ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        if not line:
            raise RuntimeError("the worker ended")
        found: dict[str, Any] = json.loads(line)
        return found

    async def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def measure(calls: int, seconds: float, loss: float, seed: int = 1) -> dict[str, Any]:
    """Open so many calls, let them settle, measure for `seconds`."""
    worker = WorkerProcess()
    await worker.start()
    reps: list[RtcClient] = []
    packets = codec.encode_clip(speechlike(10))
    try:
        for number in range(calls):
            rep = RtcClient(
                packets=packets, loop_sound=True, drop=_loser(loss, seed + number), redundant=True
            )
            reps.append(rep)
            await rep.set_answer((await worker.ask(offer=await rep.offer()))["answer"])
            await rep.connected()
        await asyncio.sleep(2.0)
        await worker.ask(begin=True)
        heard_before = [len(rep.heard()) for rep in reps]
        await asyncio.sleep(seconds)
        found = await worker.ask(end=True)
        sent = sum(rep.microphone.sent for rep in reps)
        gaps = [_gaps(rep, begin) for rep, begin in zip(reps, heard_before, strict=True)]
    finally:
        await asyncio.gather(*(rep.close() for rep in reps))
        await worker.stop()
    gap = np.concatenate(gaps)
    found |= {"gap_p99": float(np.percentile(gap, 99)), "gap_max": float(gap.max())}
    played = found["received"] + found["recovered"] - found["late_packets"]
    return found | {"sent": sent, "delivered": played / sent, "loss": loss}


def _loser(share: float, seed: int) -> Callable[[int], bool]:
    dice = random.Random(seed)
    return lambda number: dice.random() < share


def _gaps(rep: RtcClient, begin: int) -> np.ndarray:
    return np.diff([heard.at for heard in rep.heard()[begin:]])


def row(found: dict[str, Any]) -> str:
    cells = [
        found["calls"],
        f"{100 * found['loss']:.0f} %",
        f"{100 * found['core']:.1f} %",
        f"{100 * found['core'] / found['calls']:.2f} %",
        f"{1e6 * found['cpu_seconds'] / found['frames']:.0f}",
        *(f"{1000 * found[name]:.1f}" for name in ("late_p99", "late_p999", "late_max")),
        f"{1000 * found['gap_p99']:.1f}",
        found["skipped"],
        f"{100 * found['delivered']:.2f} %",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 20, 40])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--loss", type=float, default=0.0, help="of the rep's packets, 0..1")
    options = parser.parse_args()
    names = "calls, loss, of a core, a call, µs a frame, late p99 ms, p99.9, max, gap p99, skipped"
    print("| " + " | ".join([*names.split(", "), "delivered"]) + " |\n" + "| --- " * 11 + "|")
    for calls in options.calls:
        print(row(asyncio.run(measure(calls, options.seconds, options.loss))), flush=True)
    print("load", *(f"{value:.1f}" for value in os.getloadavg()))


if __name__ == "__main__":
    main()
