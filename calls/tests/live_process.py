"""A live worker with fake engines as a process of its own, to be killed and stopped by tests.

python -m calls.tests.live_process FOLDER
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import django

django.setup()

from channels.layers import get_channel_layer  # noqa: E402 - needs the settings

from calls.live.peer import PeerSettings  # noqa: E402
from calls.live.worker import Worker  # noqa: E402
from calls.tests.test_live_call import fake_engines  # noqa: E402


async def main(folder: Path) -> None:
    async def engines(call):
        return fake_engines(folder, texts=("Do you like your plan?",), replies=(["I do."],))

    worker = Worker(
        host=f"process {os.getpid()}",
        slots=1,
        layer=get_channel_layer(),
        peers=PeerSettings(loopback=True),
        make_engines=engines,
    )
    stops = []
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: stops.append(asyncio.ensure_future(worker.drain(0)))
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
