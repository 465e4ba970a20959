"""Every page of the dashboard at a million calls: time, queries and weight.

    python -m bench.dashboard                        # 1,000,000 among 2,000,000; half an hour
    python -m bench.dashboard --scored 20000 --rounds 5 --no-times   # what `make prove` runs
    python -m bench.dashboard --var /tmp/million     # keeps the database there for the next run

A PostgreSQL and a Valkey of its own are started and thrown away. One tenant gets that many scored
calls, five others about as many together (`bench/many_calls.py`), and all that the dashboard shows
beside calls (`bench/many_pages.py`). Every page of `tests/dashboard/pages.py` is then opened as the
owner and as a manager limited to three agencies:

time     from the request to the last byte, by a client on the same machine from a real web process,
         one request at a time, all pages by turns (goal: p95 300 ms)
queries  all that reach PostgreSQL for one answer, settings of the scope and savepoints included,
         counted in a process of its own (goal: 20)
weight   bytes of the first view: the page and what it loads by itself, heads included, as a browser
         with an empty cache gets them; not the recording (goal: 250 kB)
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from athos.engines.launcher import Engines

ROOT = Path(__file__).resolve().parent.parent
ENGINES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scored", type=int, default=1_000_000, help="calls of the one tenant")
    parser.add_argument("--rounds", type=int, default=50, help="times that each page is opened")
    parser.add_argument("--pages", nargs="+", default=[], help="names; all others are left out")
    parser.add_argument("--no-times", action="store_true", help="judge queries and weight alone")
    parser.add_argument("--var", type=Path, help="a folder to keep, or one that was kept")
    options = parser.parse_args()
    for name in ENGINES:
        os.environ.pop(name, None)  # never into somebody's own database
    var = options.var or Path(tempfile.mkdtemp(prefix="athos-bench-"))
    var.mkdir(exist_ok=True)
    var.chmod(0o711)  # as root PostgreSQL may have to run as another account
    engines = Engines(var, durable=False)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.dashboard_run", *_arguments(options)],
            cwd=ROOT,
            env=os.environ | engines.start() | {"DJANGO_SETTINGS_MODULE": "athos.settings"},
            check=False,
        )
    finally:
        engines.stop()
        if options.var is None:
            shutil.rmtree(var, ignore_errors=True)
    raise SystemExit(done.returncode)


def _arguments(options: argparse.Namespace) -> list[str]:
    return [
        str(options.scored), str(options.rounds), "" if options.no_times else "times",
        *options.pages,
    ]  # fmt: skip


if __name__ == "__main__":
    main()
