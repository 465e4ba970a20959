"""The world of the isolation tests: committed once for all tests of a module, then wiped."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import TransactionTestCase, override_settings

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
