"""What the children say: each line with its child's name, and a log file of bounded size."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

_FILE_BYTES = 5 * 1024 * 1024  # then it becomes <name>.log.1, replacing the last one
_LINE_BYTES = 4096  # a longer line is cut in two
_KEPT_LINES = 20


class ChildOutput:
    """Reads a child's pipe; survives its restarts."""

    def __init__(self, name: str, folder: Path, show: Callable[[str], None]) -> None:
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._name = name
        self._path = folder / f"{name}.log"
        self._show = show

    def hush(self) -> None:
        """From now on to the file only: nobody reads goodbyes."""
        self._show = _nobody

    async def read(self, read_end: int) -> None:
        """Until the pipe is closed by all who hold it. Takes the descriptor over."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(read_end, "rb", buffering=0)
        )
        rest = b""
        try:
            while chunk := await stream.read(_LINE_BYTES):
                *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").split(b"\n")
                if len(rest) >= _LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                self._take(lines)
        finally:
            transport.close()
        if rest:
            self._take([rest])

    def _take(self, lines: list[bytes]) -> None:
        if self._path.exists() and self._path.stat().st_size > _FILE_BYTES:
            self._path.replace(self._path.with_suffix(".log.1"))
        with self._path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self.last_lines.append(text)
                self._show(f"{self._name:>10} | {text}")


def _nobody(line: str) -> None:
    """Shows nothing."""
