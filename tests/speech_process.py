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
def speech_process(socket: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m speech`, ready; stopped at the end. It logs to a file beside the socket."""
    command = [sys.executable, "-m", "speech", "--socket", str(socket)]
    command += ["--models", str(models_folder()), "--die-with-parent", *arguments]
    said = socket.with_suffix(".log")
    with said.open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
    try:
        _wait_ready(process, said)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _wait_ready(process: subprocess.Popen[bytes], said: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while "speech: ready" not in (text := said.read_text()).splitlines():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"no speech server (exit {process.returncode}):\n{text[-3000:]}")
        time.sleep(0.1)
