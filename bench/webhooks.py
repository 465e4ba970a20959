"""The sender of webhooks under load: how fast, how fair, how safe, and does it lose anything?

    python -m bench.webhooks                              # the issue's sizes; about a quarter hour
    python -m bench.webhooks --short                      # the same in two minutes
    python -m bench.webhooks --part rate hanging          # some of it
    python -m bench.webhooks --part rate --seconds 60     # a minute of load in place of five

A durable PostgreSQL of its own is started and thrown away. Receivers run in a process beside it,
behind TLS with an authority of the bench, and answer after 200 ms; every attempt opens a new
connection. Events are made as `event_publish` makes them, for 200 endpoints of 20 tenants.

rate      deliveries a second with a backlog, rows written; a bare aiohttp client before and after;
          processor time of the sender for each delivery, which a busy machine changes little
latency   events that come in steadily: from the commit to the first attempt
hanging   3 in 10 endpoints never answer: what the others still get
hostile   12 kinds of hostile receiver x 100, as many at once as the sender has in flight: the
          longest attempt, the memory
killed    the sender is killed again and again while it sends: is anything lost?
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
PARTS = ("rate", "latency", "hanging", "hostile", "killed")
ENGINES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    parser.add_argument("--seconds", type=int, help="of load, for rate, latency and hanging")
    parser.add_argument("--short", action="store_true", help="20 s of load, 5 kills")
    options = parser.parse_args()
    for name in ENGINES:
        os.environ.pop(name, None)  # never into somebody's own database
    var = Path(tempfile.mkdtemp(prefix="athos-bench-"))
    var.chmod(0o711)  # as root PostgreSQL may have to run as another account
    engines = Engines(var, durable=True)
    sizes = ["--short"] if options.short else []
    sizes += ["--seconds", str(options.seconds)] if options.seconds else []
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.webhooks_run", *sizes, "--part", *options.part],
            cwd=ROOT,
            env=os.environ
            | engines.start()
            | {"DJANGO_SETTINGS_MODULE": "athos.settings", "ATHOS_VAR": str(var)},
            check=False,
        )
    finally:
        engines.stop()
        shutil.rmtree(var, ignore_errors=True)
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
