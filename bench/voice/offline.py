"""How long to wait, and how often that cuts people off: the whole curve, faster than real time.

    python -m bench.voice.offline                         # 240 takes, the rule as it is
    python -m bench.voice.offline --curve --svg wait.svg  # the rule scaled, and its rivals
    python -m bench.voice.offline --set finished=0.2 --set unsure=0.9 --kinds human pause
    python -m bench.voice.offline --list cut              # which takes were cut off

No connection and no persona: see `bench/voice/replay.py`. Deterministic; the first run asks the
models (minutes), later ones only about sound that was not asked about before.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from bench.voice import lines
from bench.voice.plot import Curve, scatter_svg
from bench.voice.replay import Costs, Heard, Models, Outcome, Replay, Rule, hear
from bench.voice.rivals import SilenceOnly, TurnModelOnly
from bench.voice.takes import MAKERS, PERSONA_VOICE, SAID, Studio, script
from calls.live.turns import Patience, TurnTaker

# What the curve scales.
WAITS = ("finished", "likely", "closed", "doubted", "statement", "unsure", "open_clause", "unknown")
SCALES = (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
SILENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6)
TIMERS = (0.6, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of many takes. Shares 0..1, times in seconds from the last (first) sound to the decision."""

    takes: int
    cut_off: float
    cut_off_human: float
    cut_off_synthetic: float
    taken_back: float  # answers begun too early of which nothing was heard, per take
    missed: int
    wait_p50: float
    wait_p95: float
    stop_p50: float  # over the persona: to her silence
    stop_p95: float
    not_stopped: float
    false_holds: float  # she fell silent for a murmur or a cough
    false_stops: float  # ... and was cut for good
    answered_nothing: float


def figures(outcomes: Sequence[Outcome]) -> Figures:
    answered = [o for o in outcomes if o.expected == "answer"]
    stops = [o for o in outcomes if o.expected == "stop"]
    nothing = [o for o in outcomes if o.expected == "nothing"]
    waits = [o.wait for o in answered if o.wait is not None and not o.cut_off]
    held = [o.held for o in stops if o.held is not None]
    return Figures(
        takes=len(outcomes),
        cut_off=_share(o.cut_off for o in answered),
        cut_off_human=_share(o.cut_off for o in answered if o.human),
        cut_off_synthetic=_share(o.cut_off for o in answered if not o.human),
        taken_back=sum(o.taken_back for o in answered) / max(len(answered), 1),
        missed=sum(o.wait is None for o in answered),
        wait_p50=_percentile(waits, 50),
        wait_p95=_percentile(waits, 95),
        stop_p50=_percentile(held, 50),
        stop_p95=_percentile(held, 95),
        not_stopped=_share(o.interrupted is None for o in stops),
        false_holds=_share(o.held is not None for o in nothing),
        false_stops=_share(o.interrupted is not None for o in nothing),
        answered_nothing=_share(o.answered_nothing for o in nothing),
    )


def run(
    calls: Sequence[Sequence[Heard]], models: Models, rule: Callable[[], Rule]
) -> list[Outcome]:
    costs = Costs()
    found = []
    for call in calls:
        found += Replay(models, rule(), costs).run(call)
    models.save()
    return found


def scaled(patience: Patience, factor: float) -> Patience:
    """All waits that end a turn, longer or shorter."""
    known = {field.name for field in fields(patience)}
    changes = {name: factor * getattr(patience, name) for name in WAITS if name in known}
    return replace(patience, **changes)


def curves(
    calls: Sequence[Sequence[Heard]], models: Models, patience: Patience
) -> dict[str, list[tuple[str, Figures]]]:
    """The product's rule and two rivals, each over its own dial."""

    def of(rule: Callable[[], Rule]) -> Figures:
        return figures(run(calls, models, rule))

    return {
        "Athos": [(f"×{x:g}", of(lambda x=x: TurnTaker(scaled(patience, x)))) for x in SCALES],
        "silence alone": [(f"{x:g} s", of(lambda x=x: SilenceOnly(x))) for x in SILENCES],
        "smart-turn alone": [
            (f"{x:g} s timer", of(lambda x=x: TurnModelOnly(0.2, x))) for x in TIMERS
        ],
    }


def by_kind_table(outcomes: Sequence[Outcome]) -> str:
    rows = ["| kind | takes | cut off | taken back | missed | wait p50 | p95 | stop p50 | p95 |"]
    rows.append("| --- " * 9 + "|")
    for kind in ("all", *MAKERS):
        some = [o for o in outcomes if kind in ("all", o.kind)]
        if not some:
            continue
        f = figures(some)
        cells = (kind, f.takes, _percent(f.cut_off), f"{f.taken_back:.2f}", f.missed)
        times = [_ms(t) for t in (f.wait_p50, f.wait_p95, f.stop_p50, f.stop_p95)]
        rows.append("| " + " | ".join(map(str, (*cells, *times))) + " |")
    return "\n".join(rows)


def curve_table(found: dict[str, list[tuple[str, Figures]]]) -> str:
    rows = ["| rule | dial | cut off | human | synthetic | wait p50 | p95 | missed |"]
    rows.append("| --- " * 8 + "|")
    for rule, points in found.items():
        for dial, f in points:
            shares = [_percent(s) for s in (f.cut_off, f.cut_off_human, f.cut_off_synthetic)]
            cells = (rule, dial, *shares, _ms(f.wait_p50), _ms(f.wait_p95), f.missed)
            rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def summary(f: Figures) -> str:
    return (
        f"{f.takes} takes: cut off {_percent(f.cut_off)} (human {_percent(f.cut_off_human)},"
        f" synthetic {_percent(f.cut_off_synthetic)}), missed {f.missed};"
        f" wait p50 {_ms(f.wait_p50)} p95 {_ms(f.wait_p95)};"
        f" over the persona: silent p50 {_ms(f.stop_p50)} p95 {_ms(f.stop_p95)},"
        f" not stopped {_percent(f.not_stopped)};"
        f" of murmurs, coughs: held {_percent(f.false_holds)},"
        f" stopped {_percent(f.false_stops)}, answered {_percent(f.answered_nothing)}"
    )


def main() -> None:
    options = _options()
    folder = options.var / "bench" / "voice"
    said = SAID[options.said]
    studio, models = Studio(folder, options.models, said), Models(folder, options.models)
    calls = script(studio, turns=options.turns, seed=options.seed, kinds=tuple(options.kinds))
    persona = studio.spoken(lines.PERSONA[0], PERSONA_VOICE)
    heard = [hear(call, models, persona) for call in calls]
    patience = replace(Patience(), **dict(options.set))
    outcomes = run(heard, models, lambda: TurnTaker(patience))
    print(by_kind_table(outcomes), summary(figures(outcomes)), sep="\n\n")
    _list(outcomes, options.list)
    kept: dict[str, object] = {"outcomes": [asdict(o) for o in outcomes]}
    if options.curve:
        found = curves(heard, models, patience)
        print("", curve_table(found), sep="\n")
        kept["curves"] = {
            rule: [{"dial": dial} | asdict(f) for dial, f in points]
            for rule, points in found.items()
        }
        options.svg.write_text(curve_svg(found))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(kept, indent=1))


def curve_svg(found: dict[str, list[tuple[str, Figures]]]) -> str:
    drawn = [
        Curve(rule, [(1000 * f.wait_p50, 100 * f.cut_off, dial) for dial, f in points])
        for rule, points in found.items()
    ]
    return scatter_svg(
        drawn,
        title="Patience against cut-offs",
        across="silence before the decision, median, ms",
        up="turns cut off, %",
    )


def _list(outcomes: Sequence[Outcome], what: str) -> None:
    wanted: dict[str, Callable[[Outcome], bool]] = {
        "": lambda o: False,
        "cut": lambda o: o.cut_off,
        "slow": lambda o: o.wait is not None and o.wait > 1.0 and o.expected == "answer",
        "missed": lambda o: o.wait is None and o.expected == "answer",
        "overlap": lambda o: o.expected != "answer",
    }
    for o in filter(wanted[what], outcomes):
        print(f"{o.kind:12} {_ms(o.wait):>6} held {_ms(o.held):>6} {o.text[:70]} [{o.note}]")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    var = Path(os.environ.get("ATHOS_VAR", "var"))
    parser.add_argument("--var", type=Path, default=var)
    models = Path(os.environ.get("MODELS_DIR", var / "models"))
    parser.add_argument("--models", type=Path, default=models)
    parser.add_argument("--turns", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--said", choices=SAID, default="tuned", help="what the reps say")
    parser.add_argument("--kinds", nargs="+", choices=tuple(MAKERS), default=tuple(MAKERS))
    parser.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=SECONDS")
    parser.add_argument("--list", choices=("", "cut", "slow", "missed", "overlap"), default="")
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--json", type=Path, default=var / "bench" / "voice" / "offline.json")
    parser.add_argument("--svg", type=Path, default=var / "bench" / "voice" / "curve.svg")
    return parser.parse_args()


def _setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if name not in {field.name for field in fields(Patience)}:
        raise argparse.ArgumentTypeError(f"Patience has no {name}")
    return name, float(value)


def _share(flags: Iterable[bool]) -> float:
    found = list(flags)
    return sum(found) / len(found) if found else 0.0


def _percentile(values: Sequence[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else float("nan")


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None or np.isnan(seconds) else f"{1000 * seconds:.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
