"""The place of the one sender on a machine: a lock on a file, which goes with its process."""

import fcntl
import time
from pathlib import Path

STALE_SECONDS = 10.0  # not kept for so long: whoever has it is suspended, and others go on


class Place:
    """Only saves work: two senders at once are harmless, each delivery is claimed by one."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a")

    def take(self) -> bool:
        """Whether to send here: nobody does, or somebody who has not moved for ten seconds."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.time() - self._path.stat().st_mtime < STALE_SECONDS:
                return False
        self.keep()
        return True

    def keep(self) -> None:
        """Show that we move."""
        self._path.touch()

    def leave(self) -> None:
        """Let the next one start. Twice is harmless."""
        self._file.close()
