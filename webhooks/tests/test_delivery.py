"""From an event to the integrator's server and back into the log."""

import json
import uuid

import pytest

from webhooks import selectors
from webhooks.sending import Internet
from webhooks.tests import making
from webhooks.tests.making import in_database
from webhooks.tests.receivers import Receiver, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]

HOST = "hooks.example.com"


@pytest.fixture
def acme():
    return making.make_tenant()


async def test_an_event_arrives_signed_over_tls(acme, world, dispatch):
    _, secret = await in_database(making.make_endpoint, acme, f"https://{HOST}/athos?x=1")
    subject = uuid.uuid4()
    event = await in_database(making.publish, acme, subject)
    receiver = Receiver(text="thanks")
    async with serving(receiver.handle, world.authority.server(HOST)) as port:
        world.place(HOST, port)
        await dispatch(world.internet())
    (got,) = receiver.got
    assert got.body == bytes(event.body)
    assert got.headers["X-Athos-Webhook-Id"] == json.loads(got.body)["webhookId"]
    (state,) = await in_database(selectors.deliveries_of, tenant=acme, subject_id=subject)
    assert (state.state, state.attempts, state.last_status) == ("delivered", 1, 200)
    assert state.next_try_at is None
    (attempt,) = await in_database(making.attempts, acme)
    assert (attempt.status, attempt.error, attempt.response_body) == (200, "", "thanks")
    assert None not in (attempt.lookup_ms, attempt.connect_ms, attempt.answer_ms)
    assert secret not in json.dumps(attempt.request_headers)


async def test_the_embedded_mode_reaches_a_receiver_on_this_machine(acme, dispatch):
    receiver = Receiver()
    async with serving(receiver.handle) as port:
        for host in ("localhost", "127.0.0.1"):
            url = f"http://{host}:{port}/webhook"
            await in_database(making.make_endpoint, acme, url)
        await in_database(making.publish, acme)
        await dispatch(Internet(development=True))
        assert [d.state for d in await in_database(making.deliveries, acme)] == ["delivered"] * 2
        await in_database(making.publish, acme)
        await dispatch(Internet())  # the mode was left: the stored URL no longer goes
    assert len(receiver.got) == 2
    assert {a.error for a in await in_database(making.attempts, acme)} == {"", "URL_REFUSED"}
