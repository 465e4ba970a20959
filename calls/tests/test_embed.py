"""The rep's page and the ticket by which it follows its call."""

import time

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from calls.models import Call
from calls.services.embedding import site_key_make
from calls.services.tickets import PURPOSE, ticket_sign
from calls.tests.making import API, code, make_drill, make_integrator, make_worker, redeem
from calls.tests.making_calls import (
    LINES,
    add_recording,
    add_scorecard,
    add_transcript,
    make_call,
)
from scoring.services import rubrics_load
from tenants import sealing
from tenants.isolation import tenant_scope
from tenants.models import Tenant

pytestmark = pytest.mark.django_db

PARENT = "https://training.example.com"


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill(goal="Take her from hello to a decision.", briefing="It is autumn.")


@pytest.fixture
def acme():
    return make_integrator("Acme")


def sites(integrator, *origins):
    with tenant_scope(integrator.tenant.pk):
        Tenant.objects.update(browser_origins=list(origins))


def page(**query):
    return Client().get("/embed/roleplay", {"drill": "ma-full-sale"} | query)


def ancestors(answer):
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    return policy["frame-ancestors"].split()


# --- the page ------------------------------------------------------------------------------------


def test_errors_may_be_framed_by_whom_the_page_may(acme, monkeypatch):
    stranger = make_integrator("Stranger")
    sites(acme, PARENT)
    key = site_key_make(tenant_id=acme.tenant.pk)
    client = Client(raise_request_exception=False)
    address = f"/embed/roleplay?drill=ma-full-sale&site={key}"
    refused = client.post(address)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
    assert ancestors(refused) == [PARENT]
    assert "This page does not open" in refused.text

    def away(*_, **__):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr("calls.views.embed.practice_find", away)
    broken = client.get(address)
    assert broken.status_code == 503
    assert ancestors(broken) == [PARENT]
    assert "X-Frame-Options" not in broken.headers
    assert broken.headers["X-Athos-Request-Id"] in broken.text
    assert broken.headers["Retry-After"]
    assert "closed the connection" not in broken.text
    monkeypatch.setattr("calls.services.embedding.tenant_scope", away)  # not even the list is there
    assert ancestors(client.get(address)) == [PARENT]
    unknown = site_key_make(tenant_id=stranger.tenant.pk)
    assert ancestors(client.get(f"/embed/roleplay?site={unknown}")) == ["'none'"]
    elsewhere = client.get("/embed/roleplay/nothing")  # no page of a tenant's
    assert "frame-ancestors 'none'" in elsewhere.headers["Content-Security-Policy"]


def test_it_says_what_will_happen_and_sets_no_cookie():
    rubrics_load()
    answer = page(difficulty="Elite")
    assert answer.status_code == 200
    assert not answer.cookies
    for words in ("hello to a decision", "It is autumn", "AI persona", "recorded", "Elite"):
        assert words in answer.text
    assert "Recording notice" in answer.text  # a check of the rubric
    assert answer.headers["Permissions-Policy"].startswith("microphone=(self)")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "X-Frame-Options" not in answer.headers


def test_scripts_run_by_nonce_alone():
    first, second = page(), page()
    policy = first.headers["Content-Security-Policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'nonce="{nonce}"' in first.text
    assert nonce not in second.text
    assert "unsafe" not in policy
    assert "style=" not in first.text
    assert " on" + "click" not in first.text


@pytest.mark.parametrize("odd", [{"drill": "../x"}, {"drill": "no-such"}, {"drill": "\x00"},
                                 {"difficulty": ""}, {"state": "\x00"},
                                 {"drill": '"><script>alert(1)</script>'}])  # fmt: skip
def test_odd_addresses_still_give_a_page(odd):
    """Without a site key a drill that we do not know may be the integrator's own."""
    answer = page(**odd)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert 'data-difficulty="Advanced"' in answer.text


def framed(parent, **query):
    """As a browser asks that shows the page inside one of `parent`."""
    headers = {"Sec-Fetch-Dest": "iframe", "Referer": f"{parent}/"} if parent else {}
    return Client().get("/embed/roleplay", {"drill": "ma-full-sale"} | query, headers=headers)


def test_addresses_of_which_no_call_can_come_say_why_to_whom_the_page_may_stand_with(acme):
    sites(acme, PARENT)
    key = site_key_make(tenant_id=acme.tenant.pk)
    for wrong, status, told in [
        ({"drill": " "}, 400, "`drill` is missing"),
        ({"difficulty": "Easy"}, 400, "`difficulty` in the address must be one of Beginner"),
        ({"drill": "no-such"}, 404, "no drill of this account"),
    ]:
        answer = framed(PARENT, site=key, **wrong)
        assert answer.status_code == status
        assert told in answer.text
        assert ancestors(answer) == [PARENT]


def test_who_may_not_frame_it_reads_why_on_a_page_without_anything_to_abuse(acme, settings):
    settings.EMBED_ORIGINS = []
    stranger = make_integrator("Stranger")
    sites(stranger, "https://evil.test")
    key = site_key_make(tenant_id=acme.tenant.pk)
    for query, told in [
        ({}, "carries no `site`"),
        ({"site": "x"}, "no site key of an active account"),
        ({"site": key}, "Add https://evil.test under"),
    ]:
        answer = framed("https://evil.test", **query)
        assert told in answer.text
        assert_harmless(answer)
    sites(acme, PARENT)
    refused = framed("https://evil.test", site=key)
    assert "https://evil.test is not among the web sites" in refused.text
    assert "Acme" not in refused.text and PARENT not in refused.text
    assert_harmless(refused)
    odd = framed('https://evil.test"><script>alert(1)</script>', site=key)
    assert "<script" not in odd.text
    assert_harmless(odd)
    for parent in (PARENT, settings.PUBLIC_URL, ""):  # the last: the browser does not say
        shown = framed(parent, site=key)
        assert (shown.status_code, ancestors(shown)) == (200, [PARENT])
    assert ancestors(page(site="x")) == ["'none'"]  # in no frame: nobody needs to frame it


def assert_harmless(answer):
    """Every page may frame it, so nothing in it runs, leads anywhere or can be pressed."""
    assert answer.status_code == 403
    assert ancestors(answer) == ["*"]
    assert "script-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer.headers
    assert not answer.cookies
    body = answer.text.partition("<body")[2]
    assert not any(tag in body for tag in ("<a", "<button", "<form", "<script", "<img"))


def test_without_a_site_key_the_installations_list_may_frame_it(settings):
    settings.EMBED_ORIGINS = []
    assert ancestors(page()) == ["'none'"]
    settings.EMBED_ORIGINS = [PARENT]
    answer = page()
    assert ancestors(answer) == [PARENT]
    assert f'data-parents="{PARENT}"' in answer.text


def test_with_a_site_key_the_tenants_web_sites_may_frame_it(acme, settings):
    settings.EMBED_ORIGINS = ["https://other.example.com"]
    key = site_key_make(tenant_id=acme.tenant.pk)
    assert ancestors(page(site=key)) == ["'none'"]
    sites(acme, PARENT, "https://b.example.com")
    assert ancestors(page(site=key)) == [PARENT, "https://b.example.com"]
    assert acme.tenant.pk.hex not in key
    assert ancestors(page(site=key[:-6])) == ["'none'"]
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.update(status=Tenant.Status.SUSPENDED)
    assert ancestors(page(site=key)) == ["'none'"]


def test_a_tenants_own_drill_is_known_by_its_site_key_only(acme):
    stranger = make_integrator("Stranger")
    make_drill(key="own-drill", owner=acme.tenant.pk, goal="Sell our own thing.")
    for site, known in [
        ("", False),
        (site_key_make(tenant_id=stranger.tenant.pk), False),
        (site_key_make(tenant_id=acme.tenant.pk), True),
    ]:
        assert ("Sell our own thing." in page(drill="own-drill", site=site).text) is known


def test_our_own_page_may_start_calls_of_a_tenant_that_lists_its_web_sites(acme, settings):
    make_worker()
    sites(acme, PARENT)
    for origin, status in [(settings.PUBLIC_URL, 200), (PARENT, 200), ("https://evil.test", 400)]:
        assert redeem(acme.token(), Origin=origin).status_code == status


# --- the ticket ----------------------------------------------------------------------------------


def ticket_of(call):
    return ticket_sign(call_id=call.pk, tenant_id=call.tenant_id, public_id=call.public_id)


def follow(ticket, path="/embed/v1/call", scheme="Ticket"):
    return Client().get(path, headers={"Authorization": f"{scheme} {ticket}"})


def test_the_ticket_of_a_redeemed_call_follows_it_to_its_score(acme):
    make_worker()
    redeemed = redeem(acme.token()).json()
    ticket = redeemed["connectionTicket"]
    answer = follow(ticket)
    assert (answer.json()["callId"], answer.json()["stage"]) == (redeemed["callId"], "live")
    assert "Access-Control-Allow-Origin" not in answer.headers
    with tenant_scope(acme.tenant.pk):
        call = Call.objects.get()
        for stage in ("ended", "transcribed"):
            Call.objects.update(stage=stage, started_at=timezone.now(), ended_at=timezone.now())
            body = follow(ticket).json()
            assert (body["stage"], body["scorecard"], body["transcript"]) == (stage, None, [])
        Call.objects.update(stage="scored", scored_at=timezone.now())
    add_transcript(call)
    add_scorecard(call)
    add_recording(call, b"x" * 10)
    body = follow(ticket).json()
    assert body["stage"] == "scored"
    assert body["scorecard"]["overallScore"] == 82
    assert len(body["transcript"]) == len(LINES)
    assert "/media/v1/recordings/" in body["audioUrl"]
    html = follow(ticket, "/embed/v1/call/scorecard")
    assert html.headers["Content-Type"].startswith("text/html")
    assert "A friendly opening" in html.text
    assert str(call.pk) not in html.text + follow(ticket).text


def test_a_call_that_failed_says_why(acme):
    call = make_call(acme.tenant, stage="failed", failure="rep_never_spoke")
    body = follow(ticket_of(call)).json()
    assert (body["stage"], body["reason"]) == ("failed", "REP_NEVER_SPOKE")


def test_before_the_score_there_is_no_result_to_show(acme):
    call = make_call(acme.tenant, stage="transcribed")
    add_transcript(call)
    add_scorecard(call)
    assert follow(ticket_of(call), "/embed/v1/call/scorecard").text.strip() == ""


@pytest.mark.parametrize("path", ["/embed/v1/call", "/embed/v1/call/scorecard"])
def test_only_the_ticket_of_this_call_opens_it(acme, path):
    call, other = make_call(acme.tenant), make_call(acme.tenant)
    stranger = make_integrator("Stranger")
    good = ticket_of(call)
    assert follow(good, path).status_code == 200
    assert follow(ticket_of(other)).json()["callId"] == other.public_id
    mixed = ticket_sign(call_id=call.pk, tenant_id=stranger.tenant.pk, public_id=call.public_id)
    assert (follow(mixed, path).status_code, code(follow(mixed, path))) == (404, "CALL_NOT_FOUND")
    refusals = [
        *(follow(odd, path) for odd in ("", "x", good[:-8], "é", acme.token(), acme.secret)),
        follow(good, path, scheme="Bearer"),
        Client().get(path),
        Client().get(path, {"ticket": good}),
    ]
    for answer in refusals:
        assert (answer.status_code, code(answer)) == (401, "INVALID_TICKET")
    assert Client().post(path).status_code == 405


def test_a_ticket_is_good_for_a_day(acme):
    call = make_call(acme.tenant)
    plain = sealing.unseal(ticket_of(call), purpose=PURPOSE)
    box = sealing._box(PURPOSE, tuple(sealing.settings.ENCRYPTION_KEYS.values()))
    for age, status in [(24 * 3600 - 60, 200), (24 * 3600 + 5, 401)]:
        made = int(time.time()) - age
        ticket = box._fernets[0].encrypt_at_time(plain, made).decode()
        assert follow(ticket).status_code == status


def test_a_ticket_is_no_api_key(acme):
    call = make_call(acme.tenant)
    answer = Client().get(
        f"{API}/calls/{call.public_id}", headers={"Authorization": f"Bearer {ticket_of(call)}"}
    )
    assert answer.status_code == 401
