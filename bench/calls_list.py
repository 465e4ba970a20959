"""The list of calls at a million: does a page cost the same however deep it lies?

    python -m bench.calls_list                       # 1,000,000 among 2,000,000; about ten minutes
    python -m bench.calls_list --scored 50000 --parts plans walk     # what `make prove` runs
    python -m bench.calls_list --var /tmp/million    # keeps the database there for the next run

A PostgreSQL and a Valkey of its own are started and thrown away. One tenant gets that many scored
calls, five others about as many together (`bench/many_calls.py`), all by COPY. Then:

plans   EXPLAIN (ANALYZE) of every documented combination of filters and key, first and next page
depth   page 1, 100 and 10,000 by turns, beside the same pages by OFFSET
walk    every page to the end: each call once, none left out
load    50 requests a second over HTTP to a web process, each kind of reading for itself
search  the dashboard's list by words of every rarity and by each filter (goals 500 and 300 ms)
export  everything as CSV: rows a second (goal 5,000) and memory
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
PARTS = ("plans", "depth", "walk", "load", "search", "export")
ENGINES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scored", type=int, default=1_000_000, help="calls of the one tenant")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=int, default=30, help="of load, of each kind")
    parser.add_argument("--rate", type=int, default=50, help="requests a second")
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
            [sys.executable, "-m", "bench.calls_list_run", *_arguments(options)],
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
    numbers = (options.scored, options.seconds, options.rate)
    return [*map(str, numbers), *options.parts]


if __name__ == "__main__":
    main()
