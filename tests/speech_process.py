"""A real speech server for tests: weights put together, started on a socket of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 240.0  # a busy machine may take a while to warm the models
ROOT = Path(__file__).resolve().parent.parent


def models_folder() -> Path:
    """ATHOS_MODELS, or var/models; filled when it is empty."""
    folder = Path(os.environ.get("ATHOS_MODELS", ROOT / "var" / "models"))
    command = [sys.executable, "-m", "speech.assemble", "--models", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    return folder


@contextmanager
def speech_process(socket: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m speech`, ready. Stopped at the end."""
    command = [sys.executable, "-m", "speech", "--socket", str(socket)]
    command += ["--models", str(models_folder()), "--die-with-parent", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        _wait_ready(process)
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate(timeout=5)


def _wait_ready(process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + START_SECONDS
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip() == "speech: ready":
            return
        if time.monotonic() > end:
            break
    raise RuntimeError("The speech server did not become ready.")
