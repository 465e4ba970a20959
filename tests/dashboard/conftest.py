"""One bed and one browser for each file of tests here. Nothing is rolled back between them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.conf import settings
from django.test import TransactionTestCase, override_settings
from pytest_django.live_server_helper import LiveServer

from calls.tests.site import Visitor, chromium, visitor
from tests.dashboard.bed import OWNER, Bed, bed_make
from tests.dashboard.pages import PAGES

Opening = Callable[..., AbstractContextManager[Visitor]]


@pytest.fixture(scope="module")
def bed(django_db_setup, django_db_blocker) -> Iterator[Bed]:
    """Committed, for the server's threads; all tables are empty again afterwards."""
    with django_db_blocker.unblock():
        found = bed_make()
        for page in PAGES:
            if page.seed:
                page.seed(found.full)
        yield found
        TransactionTestCase._fixture_teardown(None)


@pytest.fixture(scope="module")
def browser():
    # its synchronous interface runs a loop in this thread, which Django takes for asynchronous code
    with pytest.MonkeyPatch.context() as patch, chromium() as found:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield found


@pytest.fixture(scope="module")
def origin(bed) -> Iterator[str]:
    """Where threads of this process serve the pages, with static files as they are in the tree."""
    server = LiveServer("localhost")
    with override_settings(PUBLIC_URL=server.url):  # addresses of recordings begin with it
        yield server.url
    server.stop()


@pytest.fixture(scope="module")
def opened(browser, bed, origin) -> Opening:
    """A browser page of a signed-in member: `with opened("/calls", role=MANAGER) as guest:`."""

    @contextmanager
    def open_page(
        path: str, *, role: str = OWNER, state: str = "full", mode: str = "live", **look: object
    ) -> Iterator[Visitor]:
        with visitor(browser, **look) as guest:
            cookie = {"name": settings.SESSION_COOKIE_NAME, "url": origin}
            value = bed.side(state).cookie(role, mode=mode)
            guest.context.add_cookies([{**cookie, "value": value}])
            guest.page.goto(f"{origin}{path}")
            yield guest

    return open_page
