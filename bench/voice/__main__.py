"""Reps talk with the product through WebRTC, and what comes back is judged.

    python -m bench.voice                              # a product of its own, 200 turns, 1 call
    python -m bench.voice --calls 4 --lines LINES      # four at a time, persona's lines warm
    python -m bench.voice --running --var var          # against a running `manage.py up`
    python -m bench.voice --offer http://127.0.0.1:7860/api/offer   # against another's bot

Prints a Markdown table; `--json` keeps every turn, `--svg` draws mouth to ear. See README.md.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.product import running_product
from bench.voice.judge import Verdict
from bench.voice.report import distribution_svg, table
from bench.voice.takes import MAKERS, SAID, VOICES, Studio, Take, prompt_take, script
from bench.voice.talk import Athos, Line, OfferByHttp, Talk, converse


async def talk_all(
    line: Line,
    calls: list[list[Take]],
    prompt: Take,
    *,
    at_a_time: int,
    seed: int,
) -> tuple[dict[int, Talk], list[str]]:
    """All calls, so many at a time, begun half a second apart; what failed is told, not hidden."""
    waiting = deque(enumerate(calls))
    talks: dict[int, Talk] = {}
    failures: list[str] = []

    async def one_after_the_other(number: int) -> None:
        await asyncio.sleep(0.5 * number)
        while waiting:
            index, takes = waiting.popleft()
            try:
                talks[index] = await converse(line, takes, prompt, seed=seed + index)
            except (OSError, RuntimeError, TimeoutError) as failure:
                failures.append(f"call {index}: {type(failure).__name__} {failure}")
            print(f"  {sum(len(talk.said) for talk in talks.values())} turns", flush=True)
            await asyncio.sleep(1.0)

    await asyncio.gather(*(one_after_the_other(n) for n in range(at_a_time)))
    return talks, failures


def judge_all(talks: dict[int, Talk], failures: list[str]) -> list[Verdict]:
    """In the order of the calls. What cannot be judged is added to the failures."""
    found: list[Verdict] = []
    for index, talk in sorted(talks.items()):
        try:
            found.extend(talk.verdicts())
        except ValueError as failure:
            failures.append(f"call {index}: {failure}")
    return found


@contextmanager
def target(options: argparse.Namespace) -> Iterator[tuple[Line, psutil.Process | None]]:
    """What is talked to, and the process whose children's CPU is counted."""
    if options.offer:
        yield OfferByHttp(options.offer), None
        return
    if options.running:
        yield _athos(options.var, options.drill), None
        return
    with running_product() as product:
        if options.lines:
            shutil.copytree(options.lines, product.var / "live" / "lines", dirs_exist_ok=True)
        yield _athos(product.var, options.drill), psutil.Process(product.process.pid)


def _athos(var: Path, drill: str) -> Athos:
    demo = json.loads((var / "demo.json").read_text())
    return Athos(demo["baseUrl"], demo["apiKey"], drill)


def cpu_seconds(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    times = [p.cpu_times() for p in process.children(recursive=True)]
    return sum(t.user + t.system for t in times)


def main() -> None:
    options = _options()
    folder = options.var / "bench" / "voice"
    studio = Studio(folder, options.models, SAID[options.said])
    kinds = tuple(options.kinds)
    calls = script(studio, turns=options.turns, seed=options.seed, kinds=kinds)
    prompt = prompt_take(studio, VOICES[0])
    began = time.monotonic()
    with target(options) as (line, process):
        spent = cpu_seconds(process)
        sent, late = line.frames() if isinstance(line, Athos) else (0, 0)
        talked = time.monotonic()
        talks, failures = asyncio.run(
            talk_all(line, calls, prompt, at_a_time=options.calls, seed=options.seed)
        )
        minutes = (time.monotonic() - talked) / 60
        spent = cpu_seconds(process) - spent
        if isinstance(line, Athos):
            now_sent, now_late = line.frames()
            sent, late = now_sent - sent, now_late - late
    found = judge_all(talks, failures)
    if options.keep:
        for index, talk in talks.items():
            talk.keep(options.keep / f"call-{index}.wav")
    about = {
        "turns": len(found),
        "calls at a time": options.calls,
        "said": options.said,
        "seed": options.seed,
        "minutes": round(minutes, 1),
        "CPU seconds a minute": round(spent / minutes, 1) if process else None,
        "frames late by more than 20 ms": f"{late} of {sent}" if sent else None,
        "load": [round(value, 1) for value in os.getloadavg()],
        "commit": _commit(),
        "failures": failures,
    }
    print("", table(found), "", *(f"{k}: {v}" for k, v in about.items()), sep="\n")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    kept = about | {"verdicts": [asdict(v) for v in found]}
    options.json.write_text(json.dumps(kept, indent=1))
    options.svg.write_text(distribution_svg(found))
    print(f"whole run {(time.monotonic() - began) / 60:.1f} min; {options.json}, {options.svg}")
    if failures:
        raise SystemExit("calls failed")


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    var = Path(os.environ.get("ATHOS_VAR", "var"))
    parser.add_argument("--var", type=Path, default=var, help="where sounds and results are kept")
    parser.add_argument("--running", action="store_true", help="use the product running in --var")
    parser.add_argument("--offer", default="", help="address that takes an offer by POST")
    models = Path(os.environ.get("MODELS_DIR", var / "models"))
    parser.add_argument("--models", type=Path, default=models)
    parser.add_argument("--lines", type=Path, help="persona's lines made before, to begin warm")
    parser.add_argument("--drill", default="ma-full-sale")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--calls", type=int, default=1, help="at a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--said", choices=SAID, default="tuned", help="what the reps say")
    parser.add_argument("--kinds", nargs="+", choices=tuple(MAKERS), default=tuple(MAKERS))
    parser.add_argument("--keep", type=Path, help="folder for the calls as stereo WAV")
    parser.add_argument("--json", type=Path, default=var / "bench" / "voice" / "live.json")
    parser.add_argument("--svg", type=Path, default=var / "bench" / "voice" / "live.svg")
    return parser.parse_args()


if __name__ == "__main__":
    main()
