import asyncio

import pytest

from webhooks.dispatch import Dispatcher
from webhooks.tests.receivers import Authority, World


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def world(authority) -> World:
    return World(authority)


@pytest.fixture
def dispatch():
    """Send what is due until nothing is, at most 20 s."""

    async def run(internet, *, deadline: float = 2.0, seconds: float = 20.0, **options) -> None:
        dispatcher = Dispatcher(internet, deadline=deadline, **options)
        await asyncio.wait_for(dispatcher.run(seconds=seconds), seconds + deadline + 5)

    return run
