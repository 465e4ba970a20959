"""Verdicts as a Markdown table and a plot. The browser's share is added here, nowhere else."""

from collections.abc import Iterable, Sequence

import numpy as np

from bench.voice.judge import Verdict
from bench.voice.plot import Curve, scatter_svg
from bench.voice.rep import BROWSER_SECONDS
from bench.voice.takes import MAKERS

DEAD_AIR = 4.0  # seconds without a sound after the rep's last


def table(found: Sequence[Verdict]) -> str:
    return f"{_by_kind(found)}\n\n{_summary(found)}"


def _by_kind(found: Sequence[Verdict]) -> str:
    rows = ["| kind | turns | cut off | missed | mouth to ear p50 | p95 | p99 | dead air |"]
    rows.append("| --- " * 8 + "|")
    answered = [v for v in found if v.expected == "answer"]
    groups = {"all": answered, "human": [v for v in answered if v.human]}
    groups["synthetic"] = [v for v in answered if not v.human]
    groups |= {f"– {kind}": [v for v in answered if v.kind == kind] for kind in MAKERS}
    for name, some in groups.items():
        if some:
            times = mouths_to_ear(some)
            cells = [name, len(some), percent(v.cut_off for v in some), sum(v.missed for v in some)]
            cells += [ms(times, share) for share in (50, 95, 99)]
            cells.append(percent(_dead_air(v) for v in some))
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def _summary(found: Sequence[Verdict]) -> str:
    answered = [v for v in found if v.expected == "answer"]
    over = [v for v in found if v.expected == "stop" and v.overlapped]
    stops = [v.stop + BROWSER_SECONDS for v in over if v.stop is not None]
    nothing = [v for v in found if v.expected == "nothing" and v.overlapped]
    alone = [v for v in found if v.kind == "lone-cough"]
    echoes = [v for v in found if v.kind == "echo"]
    first = [v.first_sound + BROWSER_SECONDS for v in answered if v.first_sound is not None]
    wrong = [v for v in nothing if v.false_stop]
    paused = sum(v.false_stop == "paused" for v in wrong)
    return "\n".join(
        [
            f"- first sound after the rep's last: p50 {ms(first, 50)}, p95 {ms(first, 95)}",
            f"- barge-in, {len(over)} overlaps: silent p50 {ms(stops, 50)}, p95 {ms(stops, 95)};"
            f" not stopped {sum(v.stop is None for v in over)}",
            f"- murmurs and coughs over her, {len(nothing)}: {paused} made her pause and go on,"
            f" {len(wrong) - paused} stopped her",
            f"- coughs while nobody spoke, {len(alone)}:"
            f" {sum(v.answered_nothing for v in alone)} answered",
            f"- echo of her own voice, {len(echoes)} answers:"
            f" {sum(bool(v.false_stop) for v in echoes)} stopped or paused by it",
        ]
    )


def mouths_to_ear(found: Iterable[Verdict]) -> list[float]:
    """Seconds, of the turns that were not cut off, what a browser adds included."""
    times = (v.mouth_to_ear for v in found if not v.cut_off)
    return [time + BROWSER_SECONDS for time in times if time is not None]


def distribution_svg(found: Sequence[Verdict]) -> str:
    """Mouth to ear of human and synthetic turns: what share was answered within which time."""
    answered = [v for v in found if v.expected == "answer"]
    curves = []
    for name, human in (("human", True), ("synthetic", False)):
        times = sorted(mouths_to_ear(v for v in answered if v.human == human))
        points = [(1000 * t, 100 * (n + 1) / len(times), "") for n, t in enumerate(times)]
        if points:
            curves.append(Curve(name, points))
    if not curves:
        return scatter_svg([Curve("no turn", [(0, 0, "")])], title="", across="", up="")
    return scatter_svg(
        curves, title="Mouth to ear", across="ms from the rep's last sound", up="turns answered, %"
    )


def _dead_air(verdict: Verdict) -> bool:
    if verdict.first_sound is None:
        return verdict.missed
    return verdict.first_sound > DEAD_AIR


def ms(seconds: Sequence[float], share: float) -> str:
    return f"{1000 * float(np.percentile(seconds, share)):.0f}" if len(seconds) else "–"


def percent(flags: Iterable[bool]) -> str:
    found = list(flags)
    return f"{100 * sum(found) / len(found):.1f} %" if found else "–"
