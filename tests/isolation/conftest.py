"""The world of the isolation tests: committed once for all tests of a module, then wiped."""

import logging
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import TransactionTestCase, override_settings

from athos.logs import KeyValueFormatter
from tests.isolation.identities import Identity, identities
from tests.isolation.world import World, world_make


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[World]:
    with (
        django_db_blocker.unblock(),
        override_settings(
            MEDIA_ROOT=str(tmp_path_factory.mktemp("recordings")),
            ACCOUNT_RATE_LIMITS=False,  # thousands of requests a minute come
            RATE_LIMITS=dict.fromkeys(settings.RATE_LIMITS, (1_000_000, 1)),
        ),
    ):
        try:
            yield world_make()
        finally:
            TransactionTestCase._fixture_teardown(None)  # type: ignore[arg-type]


@pytest.fixture
def everybody(world) -> list[Identity]:
    """Their session tokens are fresh: they last five minutes."""
    return identities(world)


class Logged(logging.Handler):
    """What stands in the log of a run, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(KeyValueFormatter())
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"

    def quoted(self, world: World) -> list[str]:
        """Whatever of a tenant's words or secrets stands there. Ids may."""
        secrets = [*world.a.keys.values(), *world.b.keys.values(), world.suspended_key]
        sealed = [
            value
            for side in (world.a, world.b)
            for kind in ("ticket", "join_ticket", "sealed", "site")
            for value in side.ids[kind].values()
        ]
        return [text for text in [f"canary{world.run}", *secrets, *sealed] if text in self.text]


@pytest.fixture
def logged() -> Iterator[Logged]:
    handler, root, requests = Logged(), logging.getLogger(), logging.getLogger("django.request")
    usual = requests.level
    root.addHandler(handler)
    requests.setLevel(logging.DEBUG)  # settings keep the many lines of refused requests quiet
    try:
        yield handler
    finally:
        requests.setLevel(usual)
        root.removeHandler(handler)
