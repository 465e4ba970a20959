"""What keys and tokens cost, beside a bare view of Django REST framework in the same server.

    python -m bench.keys                       # all of it; about five minutes
    python -m bench.keys --parts check http    # without the races
    python -m bench.keys --tokens 100          # shorter races

A PostgreSQL and a Valkey of its own are started and thrown away.

check   the key check alone, in this process: time and queries, for junk and for good keys
http    requests a second of refusals, mints and redeems, by turns with the bare view
log     what keeping the log of requests adds to them, by turns with a process that keeps none
races   64 racers for each token, over two web processes: one wins
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
PARTS = ("check", "http", "log", "races")
ENGINES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=9, help="of each kind of request, by turns")
    parser.add_argument("--tokens", type=int, default=1000, help="raced for")
    options = parser.parse_args()
    for name in ENGINES:
        os.environ.pop(name, None)  # never into somebody's own database
    var = Path(tempfile.mkdtemp(prefix="athos-bench-"))
    var.chmod(0o711)  # as root PostgreSQL may have to run as another account
    engines = Engines(var, durable=True)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.keys_run", str(options.rounds), str(options.tokens),
             *options.parts],
            cwd=ROOT,
            env=os.environ | engines.start() | {"DJANGO_SETTINGS_MODULE": "athos.settings"},
            check=False,
        )  # fmt: skip
    finally:
        engines.stop()
        shutil.rmtree(var, ignore_errors=True)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
