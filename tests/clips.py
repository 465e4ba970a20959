"""What the rep says: human clips from a Debian package, and lines spoken by our own voices."""

import http.client
import io
import json
import socket
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
SPEECH_RATE = 24_000


@dataclass(frozen=True)
class Clip:
    text: str
    wav: bytes
    human: bool = False


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("speech", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


def speech_socket(var: Path) -> Path:
    """Where the speech server of a running `up` listens; not below `var` when that is too long."""
    for line in (var / "embedded.env").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "SPEECH_URL":
            return Path(value.strip("'\"").removeprefix("http+unix://"))
    raise LookupError("embedded.env names no SPEECH_URL")


def wav_of(pcm: np.ndarray, rate: int) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
    return target.getvalue()


def spoken(text: str, speech_socket: Path, *, voice: str = "am_adam", pauses: bool = False) -> Clip:
    """The line by a voice of the speech server. With `pauses`, "|" is 0.35 s of silence."""
    pieces = text.split("|") if pauses else [text]
    pcm = []
    for piece in pieces:
        body = json.dumps(
            {"model": "kokoro", "input": piece.strip(), "voice": voice, "response_format": "pcm"}
        )
        connection = _UnixConnection(str(speech_socket))
        headers = {"Content-Type": "application/json", "X-Athos-Priority": "live"}
        connection.request("POST", "/v1/audio/speech", body, headers)
        response = connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise RuntimeError(f"The speech server answered {response.status}.")
        pcm += [np.frombuffer(data, "<i2"), np.zeros(int(0.35 * SPEECH_RATE), np.int16)]
    return Clip(text.replace("|", ""), wav_of(np.concatenate(pcm[:-1]), SPEECH_RATE))


def human(most: int = 5) -> list[Clip]:
    """Sentences read by a person, with their words."""
    texts = {}
    for line in (LIBRIVOX / "transcription").read_text().splitlines():
        words, _, name = line.rpartition(" (")
        texts[name.rstrip(")")] = words.replace("<s>", "").replace("</s>", "").strip()
    files = sorted(LIBRIVOX.glob("*.wav"))[:most]
    return [Clip(texts[file.stem], file.read_bytes(), human=True) for file in files]
