"""The tenant's face on the rep's page, the rep's consent, and what came of the call."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from django.utils import timezone

from calls.models import Call
from calls.services.embedding import OUR_CONSENT_TEXT, OUR_CONSENT_VERSION, site_key_make
from calls.services.tickets import ticket_sign
from calls.tests.making import API, code, make_drill, make_integrator, make_worker, redeem
from calls.tests.making_calls import add_scorecard, add_transcript, make_call
from calls.views.palette import DARK, LIGHT, TEXT_CONTRAST, accent_of, contrast
from tenants.branding import LOGO_MAX, consent_text_publish
from tenants.isolation import tenant_scope
from tenants.models import AuditEvent, ConsentText, Tenant

pytestmark = pytest.mark.django_db
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


@pytest.fixture(autouse=True)
def drill(db):
    return make_drill()


@pytest.fixture
def acme():
    make_worker()
    return make_integrator("Acme Benefits")


def page(integrator=None):
    site = {"site": site_key_make(tenant_id=integrator.tenant.pk)} if integrator else {}
    return Client().get("/embed/roleplay", {"drill": "ma-full-sale"} | site)


def rep_page(integrator, *words):
    call_command("rep_page", str(integrator.tenant.pk), *words)


# --- the tenant's face ---------------------------------------------------------------------------


def test_the_page_wears_the_tenants_name_logo_and_colour(acme, tmp_path):
    stranger = make_integrator("Stranger")
    logo = tmp_path / "logo.png"
    logo.write_bytes(PNG)
    rep_page(acme, "--color", "#FFCC00", "--logo", str(logo))
    text = page(acme).text
    assert "Acme Benefits" in text
    assert 'src="data:image/png;base64,' in text
    assert f"--accent: {accent_of('#ffcc00', LIGHT).color}" in text
    assert "unsafe" not in page(acme).headers["Content-Security-Policy"]
    for other in (page(stranger).text, page().text):
        assert "Acme" not in other
        assert "data:image" not in other
        assert "--accent:" not in other
    rep_page(acme, "--color", "", "--no-logo")
    assert "data:image" not in page(acme).text
    with tenant_scope(acme.tenant.pk):
        told = AuditEvent.objects.filter(action="branding.update").values_list("details", flat=True)
        assert list(told) == [{"changed": ["color", "logo", "logo_type"]}] * 2


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (["--color", "red"], None),
        (["--logo"], b"<svg onload='alert(1)'/>"),
        (["--logo"], PNG + b"x" * LOGO_MAX),
        (["--logo"], None),  # no such file
        (["--consent"], b"  "),
        (["--consent"], b"\xff\xfe"),
        (["--web-site", "http://training.example.com"], None),
        (["--web-site", "https://training.example.com/path"], None),
        (["--web-site", "https://*.example.com"], None),
        (["--web-site", "https://a.example.com; script-src *"], None),
    ],
)
def test_what_cannot_be_shown_is_refused(acme, tmp_path, words, content):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError):
        rep_page(acme, *words, *([str(file)] if len(words) == 1 else []))


def test_web_sites_are_set_and_taken_away(acme):
    rep_page(acme, "--web-site", "https://Training.example.com", "--web-site", "http://localhost:1")
    policy = page(acme).headers["Content-Security-Policy"]
    assert "frame-ancestors https://training.example.com http://localhost:1;" in policy + ";"
    rep_page(acme, "--no-web-site")
    assert "frame-ancestors 'none'" in page(acme).headers["Content-Security-Policy"]


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_every_colour_can_be_read(scheme):
    steps = range(0, 256, 51)
    for color in (f"#{r:02x}{g:02x}{b:02x}" for r in steps for g in steps for b in steps):
        accent = accent_of(color, scheme)
        for ground in (*scheme.grounds, accent.soft):
            assert contrast(accent.color, ground) >= TEXT_CONTRAST
        assert contrast(accent.on, accent.fill) >= TEXT_CONTRAST


def test_a_colour_that_can_be_read_stays_as_it_is():
    assert accent_of("#4338ca", LIGHT).color == "#4338ca"
    assert accent_of("#ffd400", LIGHT).fill == "#ffd400"
    assert round(contrast("#000000", "#ffffff"), 1) == 21.0


# --- consent -------------------------------------------------------------------------------------


def agree(redeemed, version, **headers):
    ticket = redeemed["connectionTicket"] if isinstance(redeemed, dict) else redeemed
    return Client().post(
        "/embed/v1/call/consent",
        data=json.dumps({"version": version}),
        content_type="application/json",
        headers={"Authorization": f"Ticket {ticket}"} | headers,
    )


def the_call(integrator):
    with tenant_scope(integrator.tenant.pk):
        return Call.objects.get()


def test_consent_on_our_page_is_kept_with_the_call(acme):
    assert OUR_CONSENT_TEXT in page(acme).text
    consent_text_publish(tenant=acme.tenant, text="Harbor records you.\n\nAsk Kim.")
    text = page(acme).text
    assert "<p>Harbor records you.</p>" in text
    assert OUR_CONSENT_TEXT not in text
    assert "an AI persona; nobody real" in text
    assert 'data-consent="1"' in text
    redeemed = redeem(acme.token()).json()
    before = timezone.now()
    assert agree(redeemed, "1").status_code == 204
    call = the_call(acme)
    assert (call.consent_source, call.consent_version) == ("rep_page", "1")
    assert abs(call.consented_at - before) < timedelta(minutes=1)
    assert agree(redeemed, OUR_CONSENT_VERSION).status_code == 204  # said twice: the first counts
    assert the_call(acme).consented_at == call.consented_at
    assert the_call(acme).consent_version == "1"


@pytest.mark.parametrize("version", ["0", "01", "2", "athos-0", "٣", "9" * 90])
def test_only_a_text_that_was_shown_can_be_agreed_to(acme, version):
    stranger = make_integrator("Stranger")
    consent_text_publish(tenant=acme.tenant, text="Ours.")
    for text in ("One.", "Two."):
        consent_text_publish(tenant=stranger.tenant, text=text)
    answer = agree(redeem(acme.token()).json(), version)
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert the_call(acme).consented_at is None


def test_a_call_that_is_over_takes_no_consent(acme):
    call = make_call(acme.tenant)
    ticket = ticket_sign(call_id=call.pk, tenant_id=acme.tenant.pk, public_id=call.public_id)
    answer = agree(ticket, OUR_CONSENT_VERSION)
    assert (answer.status_code, code(answer)) == (409, "CALL_OVER")


def test_strangers_say_nothing_about_a_call(acme):
    stranger = make_integrator("Stranger")
    redeemed = redeem(acme.token()).json()
    call = the_call(acme)
    mixed = ticket_sign(call_id=call.pk, tenant_id=stranger.tenant.pk, public_id=call.public_id)
    assert agree(mixed, OUR_CONSENT_VERSION).status_code == 409
    for odd in ("", "x", redeemed["connectionTicket"][:-6]):
        assert agree(odd, OUR_CONSENT_VERSION).status_code == 401
    assert the_call(acme).consented_at is None


def test_a_published_text_is_never_changed(acme):
    first = consent_text_publish(tenant=acme.tenant, text="One.")
    assert consent_text_publish(tenant=acme.tenant, text=" One. ").version == first.version
    assert consent_text_publish(tenant=acme.tenant, text="Two.").version == 2
    with tenant_scope(acme.tenant.pk), pytest.raises(ProgrammingError), transaction.atomic():
        ConsentText.objects.update(text="Three.")
    connection.check_constraints()


def test_integrators_state_the_consent_of_their_own_page(acme):
    def minted(consent):
        return acme.post("/session", {"externalUserId": "rep_8842", "consent": consent})

    token = minted({"version": "2026-05", "at": "2026-06-05T16:38:51+02:00"}).json()["token"]
    assert redeem(token).status_code == 200
    with tenant_scope(acme.tenant.pk):
        now = timezone.now()
        Call.objects.update(stage="scored", started_at=now, ended_at=now, scored_at=now)
    call = the_call(acme)
    add_transcript(call)
    add_scorecard(call)
    told = Client().get(
        f"{API}/calls/{call.public_id}", headers={"Authorization": f"Bearer {acme.secret}"}
    )
    assert told.json()["consent"] == {
        "source": "integrator",
        "version": "2026-05",
        "at": "2026-06-05T14:38:51.000Z",
    }
    assert minted(None).status_code == 200
    ahead = (timezone.now() + timedelta(hours=1)).isoformat()
    odd = ["x", [], {}, {"version": ""}, {"version": 3}, {"version": "v", "at": "yesterday"},
           {"version": "v", "at": "2026-06-05T14:38:51"}, {"version": "v", "at": ahead},
           {"version": "v" * 101}]  # fmt: skip
    for consent in odd:
        assert code(minted(consent)) == "INVALID_REQUEST", consent


# --- the result ----------------------------------------------------------------------------------


def result(call):
    ticket = ticket_sign(call_id=call.pk, tenant_id=call.tenant_id, public_id=call.public_id)
    answer = Client().get("/embed/v1/call/scorecard", headers={"Authorization": f"Ticket {ticket}"})
    return " ".join(answer.text.split())


def attempt(integrator, *, ago, overall, doctors="no", **fields):
    """A scored call that ended that many hours ago."""
    call = make_call(integrator.tenant, ended_at=timezone.now() - timedelta(hours=ago), **fields)
    add_scorecard(call, overall=overall, doctors=doctors)
    return call


def test_one_thing_comes_first(acme):
    text = result(attempt(acme, ago=1, overall=82))
    first, _, rest = text.partition("Work on this first")
    assert "Your first scored attempt" in first
    assert rest.index("Asked which doctors") < rest.index("Keep doing this")
    assert rest.index("Keep doing this") < rest.index("Every check")
    assert 'data-seek="6.50"' in rest


def test_what_changed_since_the_last_attempt_is_told(acme):
    stranger = make_integrator("Stranger")
    attempt(acme, ago=9, overall=10)
    attempt(acme, ago=5, overall=70, doctors="yes", difficulty="Beginner")
    attempt(acme, ago=3, overall=1, user="another")
    attempt(acme, ago=3, overall=2, mode="test")
    other = attempt(acme, ago=3, overall=3)
    with tenant_scope(acme.tenant.pk):
        Call.objects.filter(pk=other.pk).update(drill_key="other")
    attempt(stranger, ago=3, overall=4)
    make_call(acme.tenant, ended_at=timezone.now() - timedelta(hours=2))  # its scorecard was erased
    now = attempt(acme, ago=1, overall=64)
    text = result(now)
    assert "<strong>−6 points</strong> since your last attempt (70, Beginner)" in text
    assert '<span class="verdict">Worse</span> Asked which doctors' in text
    better = attempt(acme, ago=0, overall=82, doctors="partial")
    assert "<strong>+18 points</strong>" in result(better)
    assert '<span class="verdict">Better</span> Asked which doctors' in result(better)


def test_nobody_frames_the_page_of_a_suspended_tenant(acme):
    with tenant_scope(acme.tenant.pk):
        Tenant.objects.update(status=Tenant.Status.SUSPENDED)
    assert "Acme" not in page(acme).text
