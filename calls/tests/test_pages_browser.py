"""The rep's page and the dashboard in a real Chromium, served by the real web process.

SCREENSHOTS=<folder> keeps pictures of every state, in both widths and colours.
"""

import base64
import json
import os
import re
import subprocess
import urllib.request
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from calls.assignments.giving import Wish, assignment_create
from calls.models import Call, Dispute, LiveWorker
from calls.services.embedding import private_practice_set, site_key_make
from calls.tests.host_page import host_page
from calls.tests.making import make_drill, make_integrator, make_worker
from calls.tests.making_calls import add_recording, add_scorecard, add_transcript, make_call
from calls.tests.site import ROOT, chromium, free_port, serve, visitor, wait_for
from scoring.services import rubrics_load
from tenants.branding import BrandingChange, branding_update, consent_text_publish, web_sites_set
from tenants.isolation import tenant_scope
from tenants.models import Membership, Rep, User

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SDK = Path(__file__).with_name("scripted_sdk.js").read_text()
PASSWORD = "correct horse battery"
LOOKS = [(1280, False), (375, True)]


@pytest.fixture(scope="module")
def browser():
    # its synchronous interface runs a loop in this thread, which Django takes for asynchronous code
    with pytest.MonkeyPatch.context() as patch, chromium() as found:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield found


@pytest.fixture(scope="module")
def host():
    with host_page(free_port()) as page:
        yield page


@pytest.fixture(scope="module")
def example_port():
    return free_port()


@pytest.fixture(scope="module")
def site(django_db_setup, host, example_port, tmp_path_factory):
    port = int(host.origin.rpartition(":")[2])
    with serve(tmp_path_factory.mktemp("web"), port, example_port) as origin:
        yield origin


@pytest.fixture
def acme():
    make_drill(
        title="Medicare Advantage, full sale",
        goal="Take Dolores from hello to a sound decision.",
        briefing="It is the annual enrollment period. She mailed back a card asking about plans.",
    )
    rubrics_load()
    worker = make_worker()
    LiveWorker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now() + timedelta(days=1))
    return make_integrator("Acme")


@pytest.fixture
def frame_of(site, host, acme):
    """Opens the host page and gives the rep's page inside, with the scripted SDK."""
    host.embed = f"{site}/embed/roleplay?drill=ma-full-sale&difficulty=Elite"
    host.token = lambda: mint(site, acme)

    def open_page(guest):
        guest.page.route(
            "**/sdk/useathos-sdk.js",
            lambda route: route.fulfill(body=SDK, content_type="text/javascript"),
        )
        guest.page.goto(host.origin)
        return guest.page.frame_locator("iframe")

    return open_page


def mint(site, integrator):
    """As the training site's backend does it."""
    request = urllib.request.Request(
        f"{site}/api/external/v1/session",
        data=b'{"externalUserId": "rep_8842"}',
        headers={
            "Authorization": f"Bearer {integrator.secret}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["token"]


def inner(guest):
    return next(f for f in guest.page.frames if "/embed/" in f.url)


def emit(guest, name, payload=None):
    inner(guest).evaluate("([n, p]) => window.__session.emit(n, p)", [name, payload])


def stage(acme, name, **fields):
    with tenant_scope(acme.tenant.pk):
        Call.objects.update(stage=name, **fields)
        return Call.objects.get()


def end(acme):
    now = timezone.now()
    return stage(acme, "ended", started_at=now - timedelta(seconds=37), ended_at=now)


def visible(frame, state):
    frame.locator(f'[data-state="{state}"]').wait_for(state="visible")


def no_overflow(frame):
    width = frame.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]


def accessible(guest):
    """axe finds nothing that keeps people out of what is shown."""
    frame = inner(guest)
    frame.evaluate(AXE)
    found = frame.evaluate("axe.run({resultTypes: ['violations']})")
    told = [
        (v["id"], v["impact"], [n["target"] for n in v["nodes"]])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]
    assert told == []


def start_call(frame):
    visible(frame, "ready")
    frame.get_by_role("button", name="Start the call").click()
    visible(frame, "live")


# --- the rep's page ------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_from_ready_to_a_scorecard_that_plays_its_evidence(browser, frame_of, acme, width, dark):
    name = f"embed-{width}-{'dark' if dark else 'light'}"
    with visitor(browser, width=width, dark=dark) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        frame.get_by_role("heading", name="What will be scored").wait_for()
        guest.look(f"{name}-1-ready")
        accessible(guest)
        no_overflow(inner(guest))
        start_call(frame)
        emit(guest, "personaSpeaking", {"speaking": True})
        guest.look(f"{name}-2-live")
        accessible(guest)
        no_overflow(inner(guest))
        frame.get_by_role("button", name="End the call").click()
        visible(frame, "scoring")
        call = end(acme)
        frame.locator('li[data-stage="ended"][data-step="now"]').wait_for()
        guest.look(f"{name}-3-scoring")
        accessible(guest)
        add_transcript(call)
        add_scorecard(call)
        add_recording(call)
        stage(acme, "transcribed")
        frame.locator('li[data-stage="transcribed"][data-step="now"]').wait_for()
        stage(acme, "scored", scored_at=timezone.now())
        visible(frame, "scored")
        guest.look(f"{name}-4-scored")
        accessible(guest)
        no_overflow(inner(guest))
        frame.get_by_role("button", name="We do not offer every plan").first.click()
        expect_playing(inner(guest), 6.5)
        frame.get_by_role("button", name="Play from 0:20").click()
        expect_playing(inner(guest), 20.0)
        frame.locator(".transcript li[aria-current]").get_by_text("About forty").wait_for()
        assert guest.context.cookies() == []
        assert [m["type"] for m in guest.page.evaluate("heard")].count("athos:token-request") == 1
        assert guest.console == []


def expect_playing(frame, second):
    frame.wait_for_function(
        """second => {
            const audio = document.querySelector("audio");
            return !audio.paused && audio.currentTime > second && audio.currentTime < second + 4;
        }""",
        arg=second,
        timeout=15_000,
    )


def test_a_reload_while_scoring_loses_nothing(browser, frame_of, acme):
    with visitor(browser) as guest:
        frame = frame_of(guest)
        start_call(frame)
        call = end(acme)
        frame.get_by_role("button", name="End the call").click()
        visible(frame, "scoring")
        guest.page.reload()
        frame = guest.page.frame_locator("iframe")
        visible(frame, "scoring")
        add_scorecard(call)
        stage(acme, "scored", scored_at=timezone.now())
        visible(frame, "scored")
        frame.get_by_role("button", name="Practise again").click()
        start_call(frame)
        with tenant_scope(acme.tenant.pk):
            assert Call.objects.count() == 2
        assert guest.console == []


def test_what_the_rep_can_do_on_the_call(browser, frame_of, acme):
    with visitor(browser) as guest:
        frame = frame_of(guest)
        start_call(frame)
        session = "window.__session"
        frame.get_by_role("button", name="Mute").click()
        frame.get_by_role("button", name="Unmute", pressed=True).wait_for()
        assert inner(guest).evaluate(f"{session}.muted") is True
        assert frame.locator("#rep .does").inner_text() == "muted"
        frame.get_by_role("button", name="Unmute").click()
        assert inner(guest).evaluate(f"{session}.muted") is False
        frame.locator("#microphone").select_option("Built-in microphone")
        assert inner(guest).evaluate(f"{session}.microphone") == "b"
        frame.locator('#live-level[aria-valuenow="60"]').wait_for()
        frame.get_by_text("Good connection").wait_for()
        emit(guest, "caption", {"text": "Hello? Who is this?"})
        assert not frame.get_by_text("Who is this?").is_visible()  # for those who ask for it
        frame.get_by_role("button", name="Captions").click()
        frame.get_by_role("log").get_by_text("Who is this?").wait_for()
        emit(guest, "reconnecting")
        frame.get_by_role("status").get_by_text("The line is bad").wait_for()
        accessible(guest)
        guest.look("embed-1280-light-8-reconnecting")
        emit(guest, "reconnected")
        frame.get_by_text("The line is bad").wait_for(state="hidden")
        emit(guest, "error", {"code": "AUDIO_PLAYBACK_BLOCKED", "message": "Click for sound."})
        frame.get_by_role("button", name="Turn the sound on").click()
        emit(guest, "userSpeaking", {"speaking": True})
        assert frame.locator("#rep .does").inner_text() == "speaking"
        assert frame.locator("#timer").inner_text().startswith("0:0")
        assert guest.console == []


@pytest.mark.parametrize(
    ("width", "dark"),
    [pytest.param(*look, marks=[] if look == (375, True) else pytest.mark.prove) for look in LOOKS],
)
def test_a_rep_can_pause_and_a_lost_microphone_is_told(browser, frame_of, acme, width, dark):
    name = f"embed-{width}-{'dark' if dark else 'light'}"
    with visitor(browser, width=width, dark=dark) as guest:
        frame = frame_of(guest)
        start_call(frame)
        frame.get_by_role("button", name="Pause").click()
        frame.get_by_role("status").get_by_text("nobody is heard or recorded").wait_for()
        assert frame.get_by_role("button", name="Mute").is_disabled()
        assert frame.locator("#rep .does").inner_text() == "paused"
        accessible(guest)
        no_overflow(inner(guest))
        guest.look(f"{name}-10-paused")
        frame.get_by_role("button", name="Go on").click()
        frame.get_by_text("nobody is heard or recorded").wait_for(state="hidden")
        assert frame.get_by_role("button", name="Mute").is_enabled()
        frame.get_by_role("button", name="Press to talk").click()
        frame.get_by_role("button", name="Captions").click()
        emit(guest, "caption", {"text": "Hello? Who is this?"})
        emit(guest, "reconnecting")
        frame.get_by_text("The line is bad").wait_for()
        accessible(guest)
        no_overflow(inner(guest))
        guest.look(f"{name}-13-press-to-talk-captions-reconnecting")
        emit(guest, "reconnected")
        session = "window.__session"
        inner(guest).evaluate(f"window.__level = {session}.inputLevel; 0")
        inner(guest).evaluate(f"{session}.inputLevel = () => 0; 0")
        emit(guest, "error", {"code": "MIC_DEVICE_DISCONNECTED", "message": "Gone."})
        frame.get_by_role("alert").get_by_text("Your microphone is gone").wait_for()
        guest.look(f"{name}-11-microphone-gone")
        inner(guest).evaluate(f"{session}.inputLevel = window.__level; 0")  # it came back
        frame.get_by_text("Your microphone is gone").wait_for(state="hidden")
        emit(guest, "error", {"code": "NETWORK_LOST", "message": "Lost."})
        end(acme)
        emit(guest, "ended", {"callId": "athos_call_x", "durationSec": 37})
        frame.get_by_text("The connection was away for half a minute").wait_for()
        guest.look(f"{name}-12-lost")
        assert guest.console == []


def test_in_a_noisy_room_the_rep_presses_to_talk(browser, frame_of, acme):
    with visitor(browser, width=375, dark=True) as guest:
        frame = frame_of(guest)
        start_call(frame)
        frame.get_by_role("button", name="Press to talk").click()
        assert pressed(guest) is False
        hold = frame.get_by_role("button", name="Hold to talk")
        hold.hover()
        guest.page.mouse.down()
        frame.get_by_role("button", name="You are heard").wait_for()
        assert pressed(guest) is True
        guest.look("embed-375-dark-9-press-to-talk")
        guest.page.mouse.up()
        hold.wait_for()
        assert pressed(guest) is False
        inner(guest).evaluate("document.activeElement.blur()")
        guest.page.keyboard.down("Space")
        assert pressed(guest) is True
        guest.page.keyboard.up("Space")
        assert pressed(guest) is False
        frame.get_by_role("button", name="Press to talk").click()
        assert pressed(guest) is None
        accessible(guest)


def pressed(guest):
    """What the server was told of the button."""
    return inner(guest).evaluate("window.__session.pressed")


@pytest.mark.prove
def test_the_sound_is_checked_before_the_call(browser, frame_of, acme):
    """Chromium's own microphone beeps about once a second."""
    with visitor(browser) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        frame.get_by_role("button", name="Check my sound").click()
        for part, words in [("microphone", "we hear you"), ("network", "good")]:
            frame.locator(f'#check-{part}[data-check="good"]').get_by_text(words).wait_for()
        frame.get_by_role("button", name="I heard it").click()
        frame.locator('#check-speaker[data-check="good"]').wait_for()
        assert frame.locator("#check-device option").count() > 1
        frame.locator("#check-device").select_option(index=1)
        chosen = frame.locator("#check-device").input_value()
        accessible(guest)
        guest.look("embed-1280-light-0-checked")
        assert [m["type"] for m in guest.page.evaluate("heard")] == ["athos:state"]  # no token yet
        frame.get_by_role("button", name="Start the call").click()
        visible(frame, "live")
        assert inner(guest).evaluate("window.__session.microphone") == chosen
        assert guest.console == []


@pytest.mark.prove
def test_a_microphone_that_may_not_be_used_is_explained(browser, frame_of, acme):
    with visitor(browser) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        inner(guest).evaluate(
            """() => {
                const refused = () => Promise.reject(new DOMException("", "NotAllowedError"));
                navigator.mediaDevices.getUserMedia = refused;
            }"""
        )
        frame.get_by_role("button", name="Check my sound").click()
        frame.locator('#check-microphone[data-check="bad"]').get_by_text("address bar").wait_for()
        frame.get_by_role("button", name="Nothing").click()
        frame.locator('#check-speaker[data-check="bad"]').get_by_text("volume").wait_for()
        guest.look("embed-1280-light-0-check-failed")


PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"


def test_a_phone_reads_the_task_and_is_told_where_to_call(browser, site, frame_of):
    with visitor(browser, width=375, user_agent=PHONE) as guest:
        guest.page.add_init_script("window.__support = { supported: false, reason: 'mobile' }")
        frame = frame_of(guest)
        visible(frame, "ready")
        frame.get_by_role("heading", name="The call needs a computer").wait_for()
        assert frame.get_by_role("heading", name="What will be scored").is_visible()
        assert not frame.get_by_role("button", name="Start the call").is_visible()
        accessible(guest)
        guest.look("embed-375-light-0-phone")


def test_the_tenants_own_page(browser, site, host, frame_of, acme):
    """Its name, logo, colour and consent text; the second attempt is told what changed."""
    branding_update(tenant=acme.tenant, change=BrandingChange(color="#ffd400", logo=LOGO))
    web_sites_set(tenant=acme.tenant, origins=[host.origin])
    text = consent_text_publish(tenant=acme.tenant, text="Harbor Academy records you.\n\nAsk Kim.")
    host.embed += f"&site={site_key_make(tenant_id=acme.tenant.pk)}"
    earlier = make_call(acme.tenant, ended_at=timezone.now() - timedelta(days=1))
    add_scorecard(earlier, overall=64, doctors="yes")
    with visitor(browser) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        frame.get_by_text("Ask Kim.").wait_for()
        assert frame.locator(".rep-brand img").evaluate("image => image.naturalWidth") == 1
        accessible(guest)
        guest.look("embed-1280-light-0-branded")
        start_call(frame)
        with tenant_scope(acme.tenant.pk):
            call = Call.objects.get(stage=Call.Stage.CREATED)
            assert (call.consent_source, call.consent_version) == ("rep_page", str(text.version))
        now = timezone.now()
        add_scorecard(call)
        times = {"started_at": now - timedelta(minutes=1), "ended_at": now, "scored_at": now}
        with tenant_scope(acme.tenant.pk):
            Call.objects.filter(pk=call.pk).update(stage="scored", **times)
        frame.get_by_role("button", name="End the call").click()
        visible(frame, "scored")
        frame.get_by_text("+18 points").wait_for()
        accessible(guest)
        guest.look("embed-1280-light-4-second-attempt")
        frame.get_by_role("button", name="Practise again").click()
        visible(frame, "ready")
        frame.get_by_text("Last time: 82 of 100").wait_for()
        assert [m["type"] for m in guest.page.evaluate("heard")].count("athos:token-request") == 1
        start_call(frame)
        assert [m["type"] for m in guest.page.evaluate("heard")].count("athos:token-request") == 2
        assert guest.console == []


@pytest.mark.prove
@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_a_rep_is_told_what_was_assigned_and_sees_a_verdict_differently(
    browser, host, frame_of, acme, width, dark
):
    """The training site says who the rep is before the call: `athos:rep-token`."""
    name = f"embed-{width}-{'dark' if dark else 'light'}"
    host.embed += f"&site={practice_allowed(acme, host.origin)}"
    assigned(acme, note="Name, role, <b>recording</b>.")
    assigned(make_integrator("Stranger"), note="Stranger's note")
    with visitor(browser, width=width, dark=dark) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        assert not frame.locator("#assigned").is_visible()
        tell_who_the_rep_is(guest)
        frame.get_by_role("status").get_by_text("Assigned: reach 90 of 100").wait_for()
        said = frame.locator("#assigned").inner_text()
        assert "Work on: Open properly" in said and "<b>recording</b>" in said
        assert "Stranger" not in said
        guest.look(f"{name}-20-assigned")
        accessible(guest)
        no_overflow(inner(guest))
        start_call(frame)
        scored_now(acme)
        frame.get_by_role("button", name="End the call").click()
        visible(frame, "scored")
        frame.get_by_text("Assignment not passed yet").wait_for()
        frame.locator("details.section", has_text="Finding out").locator("summary").first.click()
        frame.get_by_text("I see it differently").last.click()
        frame.get_by_label("Say why").last.fill("I asked <b>her</b> about Doctor Patel.")
        guest.look(f"{name}-21-dispute")
        accessible(guest)
        no_overflow(inner(guest))
        frame.get_by_role("button", name="Send").last.click()
        frame.get_by_role("status").get_by_text("Your manager will look at it").wait_for()
        with tenant_scope(acme.tenant.pk):
            assert Dispute.objects.get().text == "I asked <b>her</b> about Doctor Patel."
        guest.page.reload()
        frame = guest.page.frame_locator("iframe")
        visible(frame, "scored")
        frame.locator("details.section", has_text="Finding out").locator("summary").first.click()
        frame.get_by_text("Your manager has not answered yet").wait_for()
        guest.look(f"{name}-22-disputed")
        assert guest.console == []


@pytest.mark.prove
def test_a_rep_keeps_a_call_to_themselves(browser, host, frame_of, acme):
    host.embed += f"&site={practice_allowed(acme, host.origin)}"
    with visitor(browser, width=375, dark=True) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        frame.get_by_label("Keep this call private").check()
        guest.look("embed-375-dark-23-private")
        accessible(guest)
        start_call(frame)
        with tenant_scope(acme.tenant.pk):
            assert Call.objects.get().private
        scored_now(acme)
        frame.get_by_role("button", name="End the call").click()
        visible(frame, "scored")
        frame.get_by_text("You kept this call private").wait_for()
        assert frame.get_by_text("I see it differently").count() == 0
        guest.look("embed-375-dark-24-private-result")
        no_overflow(inner(guest))
        assert guest.console == []


def practice_allowed(acme, origin):
    """The site key of a tenant that lets reps keep calls to themselves."""
    web_sites_set(tenant=acme.tenant, origins=[origin])
    private_practice_set(tenant_id=acme.tenant.pk, allowed=True, actor="system")
    return site_key_make(tenant_id=acme.tenant.pk)


def assigned(integrator, note):
    with tenant_scope(integrator.tenant.pk):
        rep = Rep.objects.create(tenant=integrator.tenant, external_id="rep_8842")
    wish = Wish(
        form_id=uuid.uuid4(),
        drill_key="ma-full-sale",
        due_on=timezone.now().date() + timedelta(days=5),
        pass_mark=90,
        reps=[rep.public_id],
        focus="Open properly",
        note=note,
    )
    assignment_create(tenant_id=integrator.tenant.pk, agencies=(), wish=wish, actor="system")


def tell_who_the_rep_is(guest):
    """What docs/embedding.md shows the training site's page to do."""
    guest.page.evaluate(
        """async () => {
            const token = await (await fetch("/token", {method: "POST"})).text();
            const frame = document.querySelector("iframe");
            const athos = new URL(frame.src).origin;
            frame.contentWindow.postMessage({type: "athos:rep-token", token}, athos);
        }"""
    )


def scored_now(acme):
    """The call that is open, as the workers leave it."""
    call = end(acme)
    add_transcript(call)
    add_recording(call)
    stage(acme, "ended", private=False)
    add_scorecard(call)
    hidden = {"private": True, "overall": None} if call.private else {}
    stage(acme, "scored", scored_at=timezone.now(), **hidden)


def test_no_call_is_joined_that_the_rep_did_not_agree_to(browser, frame_of, acme):
    with visitor(browser) as guest:
        guest.page.route("**/embed/v1/call/consent", lambda route: route.abort())
        frame = frame_of(guest)
        visible(frame, "ready")
        frame.get_by_role("button", name="Start the call").click()
        visible(frame, "failed")
        assert "athos:ended" not in [m["type"] for m in guest.page.evaluate("heard")]


@pytest.mark.parametrize(
    ("failure", "words"),
    [("rep_never_spoke", "We did not hear you"), ("scoring_incomplete", "could not be scored")],
)
def test_a_call_without_a_score_is_told_honestly(browser, frame_of, acme, failure, words):
    with visitor(browser, width=375) as guest:
        frame = frame_of(guest)
        start_call(frame)
        end(acme)
        stage(acme, "failed", failure=failure)
        frame.get_by_role("button", name="End the call").click()
        visible(frame, "failed")
        frame.get_by_text(words).wait_for()
        guest.look(f"embed-375-light-5-{failure}")


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("MIC_PERMISSION_DENIED", "Allow it in the address bar"),
        ("SERVICE_UNAVAILABLE", "All lines are busy"),
    ],
)
def test_a_call_that_does_not_start_says_what_to_do(browser, frame_of, refusal, words):
    with visitor(browser) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        inner(guest).evaluate("code => (window.__refusal = code)", refusal)
        frame.get_by_role("button", name="Start the call").click()
        visible(frame, "failed")
        frame.get_by_text(words).wait_for()
        guest.look(f"embed-1280-light-6-{refusal}")
        inner(guest).evaluate("window.__refusal = undefined")
        frame.get_by_role("button", name="Try again").click()
        visible(frame, "live")


def test_the_training_site_may_refuse_or_be_silent(browser, frame_of):
    with visitor(browser) as guest:
        guest.page.clock.install()
        frame = frame_of(guest)
        visible(frame, "ready")
        guest.page.evaluate("answer = 'refuse'")
        frame.get_by_role("button", name="Start the call").click()
        frame.get_by_text("Finish lesson 3 first.").wait_for()
        guest.page.evaluate("answer = 'silence'")
        frame.get_by_role("button", name="Try again").click()
        visible(frame, "connecting")
        guest.page.clock.fast_forward(21_000)
        frame.get_by_text("did not answer").wait_for()


def test_an_answer_from_another_origin_is_not_heard(browser, frame_of):
    with visitor(browser) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        guest.page.evaluate("answer = 'silence'")
        frame.get_by_role("button", name="Start the call").click()
        visible(frame, "connecting")
        inner(guest).evaluate(
            "() => window.postMessage({type: 'athos:token', token: 'x'}, location.origin)"
        )
        guest.page.wait_for_timeout(300)
        visible(frame, "connecting")
        frame.get_by_role("button", name="Cancel").click()
        visible(frame, "ready")


def test_a_forgotten_tab_is_asked_and_then_ended(browser, frame_of, acme):
    with visitor(browser) as guest:
        guest.page.clock.install()
        frame = frame_of(guest)
        start_call(frame)
        guest.page.clock.fast_forward(299_000)
        assert frame.get_by_role("dialog").count() == 0
        guest.page.clock.fast_forward(2_000)
        frame.get_by_role("dialog").wait_for()
        guest.look("embed-1280-light-7-still-there")
        frame.get_by_role("button", name="I am here").click()
        frame.get_by_role("dialog").wait_for(state="hidden")
        guest.page.clock.fast_forward(301_000)
        frame.get_by_role("dialog").wait_for()
        emit(guest, "userSpeaking", {"speaking": True})
        frame.get_by_role("dialog").wait_for(state="hidden")
        guest.page.clock.fast_forward(301_000)
        frame.get_by_role("dialog").wait_for()
        end(acme)
        guest.page.clock.fast_forward(61_000)
        visible(frame, "scoring")


def test_nobody_else_may_frame_it(browser, frame_of, host, site):
    """Its developers read why; where the browser does not say who they are, the browser refuses."""
    with visitor(browser) as guest:
        frame_of(guest)
        elsewhere = host.origin.replace("localhost", "127.0.0.1")
        guest.page.goto(elsewhere)
        frame = guest.page.frame_locator("iframe")
        frame.get_by_text(f"{elsewhere} is not among the web sites").wait_for()
        guest.look("embed-1280-light-9-refused")
        assert not any("frame-ancestors" in said for said in guest.console)
        guest.page.evaluate(
            """() => {
                const frame = document.querySelector("iframe");
                frame.referrerPolicy = "no-referrer";
                frame.src += "&again";
            }"""
        )
        guest.page.wait_for_timeout(500)
        assert any("frame-ancestors" in said for said in guest.console)


def test_alone_it_says_where_it_belongs(browser, site):
    with visitor(browser) as guest:
        guest.page.goto(f"{site}/embed/roleplay?drill=ma-full-sale")
        assert not guest.page.get_by_role("button", name="Start the call").is_visible()
        guest.page.get_by_role("heading", name="Open this from your training site").wait_for()
        assert guest.console == []


def test_the_whole_way_by_keyboard(browser, frame_of, acme):
    with visitor(browser) as guest:
        frame = frame_of(guest)
        visible(frame, "ready")
        for _ in range(8):
            guest.page.keyboard.press("Tab")
            if inner(guest).evaluate("document.activeElement.id") == "start":
                break
        guest.page.keyboard.press("Enter")
        visible(frame, "live")
        assert inner(guest).evaluate("document.activeElement.textContent") == "On the call"
        reached = []
        for _ in range(6):
            guest.page.keyboard.press("Tab")
            reached.append(inner(guest).evaluate("document.activeElement.id"))
        assert reached == ["mute", "press-to-talk", "pause", "caption", "end", "microphone"]


def test_the_example_integrator_embeds_it(browser, site, acme, example_port, tmp_path):
    settings = {"ATHOS_BASE_URL": site, "ATHOS_API_KEY": acme.secret, "PORT": str(example_port)}
    log = tmp_path / "example.log"
    with log.open("w") as out:
        example = subprocess.Popen(
            ["node", "examples/integrator/server.mjs"],
            cwd=ROOT,
            env=os.environ | settings | {"ATHOS_WEBHOOK_SECRET": "whsec_x"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(f"http://localhost:{example_port}/", example, log)
        with visitor(browser) as guest:
            guest.page.route(
                "**/sdk/useathos-sdk.js",
                lambda route: route.fulfill(body=SDK, content_type="text/javascript"),
            )
            guest.page.goto(f"http://localhost:{example_port}/embedded")
            frame = guest.page.frame_locator("iframe")
            start_call(frame)
            guest.look("example-1280-light-1-live")
            assert guest.console == []
            with tenant_scope(acme.tenant.pk):
                assert Call.objects.get().external_user_id == "rep_8842"
    finally:
        example.terminate()
        example.wait(10)


# --- the dashboard -------------------------------------------------------------------------------


@pytest.fixture
def manager(acme):
    user = User.objects.create_user("manager@example.com", PASSWORD)
    with tenant_scope(acme.tenant.pk):
        Membership.objects.create(tenant=acme.tenant, user=user, role=Membership.Role.MANAGER)
    return user


@pytest.fixture
def calls(acme):
    for number, name in enumerate(["live", "ended", "transcribed", "failed", "scored"]):
        make_call(acme.tenant, user=f"rep_{number}", agency="Chicago North", stage=name,
                  failure="rep_never_spoke" if name == "failed" else "")  # fmt: skip
    call = make_call(acme.tenant, user="kim.larsson@harbor.example", agency="Boston")
    add_transcript(call)
    add_scorecard(call)
    add_recording(call)
    return call


@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_a_manager_signs_in_and_listens(browser, site, manager, calls, width, dark):
    name = f"pages-{width}-{'dark' if dark else 'light'}"
    with visitor(browser, width=width, dark=dark) as guest:
        page = guest.page
        page.goto(site)
        guest.look(f"{name}-1-sign-in")
        page.get_by_label("E-mail").fill("manager@example.com")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_role("alert").wait_for()
        guest.look(f"{name}-2-refused")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/")
        page.goto(f"{site}/calls")
        guest.look(f"{name}-3-calls")
        no_overflow(page)
        page.locator("tbody tr").first.click()
        page.get_by_role("heading", name="Scorecard").wait_for()
        guest.look(f"{name}-4-call")
        no_overflow(page)
        page.wait_for_load_state("networkidle")  # a click before the player is there does nothing
        page.get_by_role("button", name="What do you pay").click()
        expect_playing(page, 16.5)
        page.get_by_role("button", name="Play from 0:05").click()
        expect_playing(page, 5.0)
        page.goto(f"{site}/calls/athos_call_{'x' * 21}")
        page.get_by_text("There is nothing here").wait_for()
        guest.look(f"{name}-5-not-found")
        page.goto(f"{site}/calls")
        if width < 600:
            page.get_by_text("Menu", exact=True).click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in", exact=True).wait_for()
        wanted = [said for said in guest.console if "404" not in said]
        assert wanted == []


@pytest.mark.prove
def test_a_long_recording_plays_on_from_piece_to_piece(browser, site, manager, acme):
    """Twelve minutes: the player gets 4 MiB (under nine minutes) at a time."""
    call = make_call(acme.tenant, seconds=720)
    add_scorecard(call)
    add_recording(call, seconds=720)
    with visitor(browser) as guest:
        ranges = []
        guest.page.on(
            "response",
            lambda r: "/media/" in r.url and ranges.append(r.headers.get("content-range")),
        )
        sign_in(guest, site)
        guest.page.goto(f"{site}/calls/{call.public_id}")
        for second in (700, 100, 521):  # the last runs over the end of the first piece, at 524 s
            guest.page.evaluate(
                """second => {
                    const audio = document.querySelector("audio");
                    audio.currentTime = second;
                    return audio.play();
                }""",
                second,
            )
            expect_playing(guest.page, second)
        guest.page.wait_for_function("() => document.querySelector('audio').currentTime > 526")
        assert len(ranges) > 1
        assert guest.console == []


def sign_in(guest, site):
    guest.page.goto(f"{site}/sign-in")
    guest.page.get_by_label("E-mail").fill("manager@example.com")
    guest.page.get_by_label("Password").fill(PASSWORD)
    guest.page.get_by_role("button", name="Sign in", exact=True).click()
    guest.page.wait_for_url(f"{site}/")


def test_without_scripts_the_pages_still_read(browser, site, manager, calls):
    with visitor(browser, java_script_enabled=False) as guest:
        page = guest.page
        sign_in(guest, site)
        page.goto(f"{site}/calls/{calls.public_id}")
        assert "We do not offer every plan." in page.inner_text("main")
        assert re.search(r"\d{4}, \d\d:\d\d UTC", page.inner_text("main"))


def test_the_session_cookie_is_closed_to_scripts(browser, site, manager):
    with visitor(browser) as guest:
        guest.page.goto(f"{site}/sign-in")
        guest.page.get_by_label("E-mail").fill("manager@example.com")
        guest.page.get_by_label("Password").fill(PASSWORD)
        guest.page.keyboard.press("Enter")
        guest.page.wait_for_url(f"{site}/")
        cookie = next(
            c for c in guest.context.cookies() if c["name"] == django_settings.SESSION_COOKIE_NAME
        )
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
