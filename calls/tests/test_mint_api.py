"""POST /session: who may mint, for whom, and what a refusal looks like."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from calls.models import Call, SessionToken
from calls.reps.editing import RepDetails, rep_update
from calls.reps.importing import import_carry_out, import_plan
from calls.reps.sheets import sheet_read
from calls.tests.making import API, code, make_drill, make_integrator, make_worker, redeem
from tenants import keys
from tenants.auth import _uses
from tenants.errors import InvalidRequest, KeyNotFound, TooManyKeys
from tenants.isolation import tenant_scope
from tenants.models import Agency, ApiKey, AuditEvent, Rep, Tenant
from tenants.services import api_key_create, api_key_revoke

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_integrator("Acme")


def change(tenant, **values):
    with tenant_scope(tenant.pk):
        Tenant.objects.update(**values)


def change_key(integrator, **values):
    with tenant_scope(integrator.tenant.pk):
        ApiKey.objects.filter(pk=integrator.key.pk).update(**values)


def test_a_token_is_minted_for_five_minutes(acme):
    before = datetime.now(UTC)
    answer = acme.post("/session", {"externalUserId": " rep_8842 ", "externalAgencyId": "chicago"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"token", "expiresAt"}
    assert answer.json()["expiresAt"].endswith(".000Z")
    life = datetime.fromisoformat(answer.json()["expiresAt"]) - before
    assert timedelta(seconds=297) < life <= timedelta(seconds=301)
    assert answer.headers["Cache-Control"] == "no-store"
    with tenant_scope(acme.tenant.pk):
        row = SessionToken.objects.get()
    assert (row.external_user_id, row.external_agency_id) == ("rep_8842", "chicago")


def test_no_internal_id_is_readable_in_the_token(acme):
    import jwt

    claims = jwt.decode(acme.token(), options={"verify_signature": False})
    assert set(claims) == {"iss", "aud", "sub", "tid", "jti", "iat", "nbf", "exp"}
    with tenant_scope(acme.tenant.pk):
        internal = {str(acme.tenant.pk), str(acme.key.pk), str(SessionToken.objects.get().pk)}
    assert not internal & {str(value) for value in claims.values()}


@pytest.mark.parametrize("agency", [{}, {"externalAgencyId": None}])
def test_no_agency_and_null_are_the_same(acme, agency):
    assert acme.post("/session", {"externalUserId": "rep"} | agency).status_code == 200
    with tenant_scope(acme.tenant.pk):
        assert SessionToken.objects.get().external_agency_id is None


@pytest.mark.parametrize(
    "user", ["r", "r" * 200, "é" * 200, " " + "r" * 200 + "\n", "名前", "<c>&"]
)
def test_any_text_of_1_to_200_characters_names_a_rep(acme, user):
    extra = {"unknown": {"fields": ["are", "tolerated"]}}
    assert acme.post("/session", {"externalUserId": user} | extra).status_code == 200


@pytest.mark.parametrize("field", ["externalUserId", "externalAgencyId"])
@pytest.mark.parametrize(
    "value",
    ["", " ", "\t\n", "\u00a0", "r" * 201, 7, 0, True, False, 1.5, [], ["rep"], {}, {"a": 1},
     "a\x00b", "\ud800"],
)  # fmt: skip
def test_other_values_are_refused(acme, field, value):
    body = {"externalUserId": "rep", field: value}
    answer = acme.post("/session", json.dumps(body))
    assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST")
    assert answer.json()["error"]["details"] == {"field": field}
    with tenant_scope(acme.tenant.pk):
        assert not SessionToken.objects.exists()


@pytest.mark.parametrize("body", [{}, {"externalUserId": None}, {"externaluserid": "rep"}])
def test_the_rep_is_required(acme, body):
    assert code(acme.post("/session", body)) == "INVALID_REQUEST"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer a b",
     "Bearer " + "x" * 9000,
     "bearer ath_live_" + "0" * 49, "Bearer \u00e9", "Token {key}", "{key}", "Bearer {key}x",
     "Bearer {key} {key}"],
)  # fmt: skip
def test_junk_keys_cost_no_query(acme, header, django_assert_num_queries):
    headers = {} if header is None else {"Authorization": header.replace("{key}", acme.secret)}
    with django_assert_num_queries(0):
        answer = Client().post(
            f"{API}/session",
            {"externalUserId": "r"},
            content_type="application/json",
            headers=headers,
        )
    assert (answer.status_code, code(answer)) == (401, "INVALID_API_KEY")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_well_formed_key_that_nobody_has_is_refused(acme, django_assert_num_queries):
    with django_assert_num_queries(1):
        answer = acme.post("/session", {}, Authorization=f"Bearer {keys.make('live')}")
    assert code(answer) == "INVALID_API_KEY"


def test_a_good_key_costs_one_query(acme, django_assert_num_queries):
    with django_assert_num_queries(1):
        answer = acme.post("/session", {"externalUserId": ""})  # refused after the key was read
    assert code(answer) == "INVALID_REQUEST"


def test_the_scheme_may_be_written_in_any_case(acme):
    answer = acme.post("/session", {"externalUserId": "r"}, Authorization=f"bEaReR {acme.secret}")
    assert answer.status_code == 200


def test_a_key_under_an_older_pepper_still_works(acme, settings):
    settings.API_KEY_PEPPERS = {"new": "n" * 40} | settings.API_KEY_PEPPERS
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    _, fresh = api_key_create(tenant=acme.tenant, name="Fresh")
    answer = acme.post("/session", {"externalUserId": "r"}, Authorization=f"Bearer {fresh}")
    assert answer.status_code == 200


def test_a_revoked_key_is_refused_from_the_next_request_on(acme):
    stranger = make_integrator("Stranger")
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    with pytest.raises(KeyNotFound):
        api_key_revoke(tenant=stranger.tenant, key_id=acme.key.pk)
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    api_key_revoke(tenant=acme.tenant, key_id=acme.key.pk)
    answer = acme.post("/session", {"externalUserId": "r"})
    assert (answer.status_code, code(answer)) == (401, "API_KEY_REVOKED")
    with tenant_scope(acme.tenant.pk):
        actions = list(AuditEvent.objects.order_by("at").values_list("action", flat=True))
    assert actions == ["tenant.create", "api_key.create", "api_key.revoke"]


def test_a_key_revoked_with_a_grace_works_until_it_ends(acme):
    api_key_revoke(tenant=acme.tenant, key_id=acme.key.pk, grace=timedelta(hours=1))
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    change_key(acme, expires_at=timezone.now() - timedelta(seconds=1))
    assert code(acme.post("/session", {"externalUserId": "r"})) == "API_KEY_REVOKED"
    with pytest.raises(InvalidRequest):
        api_key_revoke(tenant=acme.tenant, key_id=acme.key.pk, grace=timedelta(days=8))


def test_a_tenant_that_is_not_active_may_not_mint(acme):
    change(acme.tenant, status=Tenant.Status.SUSPENDED)
    answer = acme.post("/session", {"externalUserId": "r"})
    assert (answer.status_code, code(answer)) == (403, "TENANT_INACTIVE")


@pytest.mark.parametrize("place", ["tenant", "key"])
def test_only_listed_addresses_may_use_the_key(acme, place, settings):
    set_list = change if place == "tenant" else change_key
    target = acme.tenant if place == "tenant" else acme
    set_list(target, allowed_ips=["203.0.113.0/24"])
    answer = acme.post("/session", {"externalUserId": "r"}, **{"X-Forwarded-For": "203.0.113.5"})
    assert (answer.status_code, code(answer)) == (403, "IP_NOT_ALLOWED")
    settings.TRUSTED_PROXIES = 1
    for forwarded, status in [("203.0.113.5", 200), ("203.0.113.5, 192.0.2.1", 403)]:
        headers = {"X-Forwarded-For": forwarded}
        assert acme.post("/session", {"externalUserId": "r"}, **headers).status_code == status
    set_list(target, allowed_ips=["127.0.0.0/8"])
    settings.TRUSTED_PROXIES = 0
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200


def test_a_key_without_the_scope_may_not_mint(acme):
    change_key(acme, scopes=["calls:read"])
    answer = acme.post("/session", {"externalUserId": "r"})
    assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE")


def test_at_most_five_keys_of_a_mode_are_active(acme):
    for _ in range(4):
        api_key_create(tenant=acme.tenant, name="More")
    with pytest.raises(TooManyKeys):
        api_key_create(tenant=acme.tenant, name="Sixth")
    api_key_create(tenant=acme.tenant, name="Sandbox", mode="test")
    api_key_revoke(tenant=acme.tenant, key_id=acme.key.pk)
    api_key_create(tenant=acme.tenant, name="Sixth")


def test_the_database_never_holds_the_key(acme):
    with tenant_scope(acme.tenant.pk), connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(k)::text FROM tenants_apikey AS k")
        stored = cursor.fetchall()[0][0]
    assert acme.secret not in stored
    assert acme.secret[12:-4] not in stored


def make_call_of(integrator, minutes, ended=None):
    """A call of that length, ended now or at the given time."""
    make_drill(f"drill-{minutes}")
    make_worker()
    answer = redeem(integrator.token(), {"drillKey": f"drill-{minutes}"})
    assert answer.status_code == 200
    ended = ended or timezone.now()
    with tenant_scope(integrator.tenant.pk):
        Call.objects.filter(public_id=answer.json()["callId"]).update(
            stage="ended", started_at=ended - timedelta(minutes=minutes), ended_at=ended
        )


def test_the_months_allowance_is_checked_at_mint(acme):
    stranger = make_integrator("Stranger")
    make_call_of(stranger, 500)
    make_call_of(acme, 7)
    make_call_of(acme, 9, ended=timezone.now().replace(day=1) - timedelta(days=2))  # last month
    change(acme.tenant, monthly_minutes=8)
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    change(acme.tenant, monthly_minutes=7)
    answer = acme.post("/session", {"externalUserId": "r"})
    assert (answer.status_code, code(answer)) == (403, "TENANT_QUOTA_EXCEEDED")


def test_a_running_call_counts_and_a_test_call_does_not(acme):
    change(acme.tenant, monthly_minutes=30)
    make_call_of(acme, 40)
    with tenant_scope(acme.tenant.pk):
        Call.objects.update(stage="live", ended_at=None)
    assert code(acme.post("/session", {"externalUserId": "r"})) == "TENANT_QUOTA_EXCEEDED"
    with tenant_scope(acme.tenant.pk):
        Call.objects.update(mode="test")
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_last_use_is_written_soon_and_once_a_minute():
    acme = make_integrator()
    for _ in range(3):
        assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    _uses._threads.submit(lambda: None).result(timeout=10)  # after all that was queued
    with tenant_scope(acme.tenant.pk):
        first = ApiKey.objects.get().last_used_at
        assert first is not None
        assert timezone.now() - first < timedelta(seconds=10)
    assert acme.post("/session", {"externalUserId": "r"}).status_code == 200
    _uses._threads.submit(lambda: None).result(timeout=10)
    with tenant_scope(acme.tenant.pk):
        assert ApiKey.objects.get().last_used_at == first


@pytest.mark.django_db(transaction=True)
def test_five_keys_stay_five_when_ten_are_made_at_once():
    acme = make_integrator()

    def work():
        try:
            api_key_create(tenant=acme.tenant, name="Racer")
        except TooManyKeys:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    with tenant_scope(acme.tenant.pk):
        assert ApiKey.objects.filter(revoked_at=None).count() == 5


def test_a_key_limited_to_agencies_mints_for_those_only(acme):
    from tenants.models import Agency

    with tenant_scope(acme.tenant.pk):
        chicago = Agency.objects.create(tenant=acme.tenant, external_id="chicago")
    change_key(acme, agencies=[chicago.pk])
    for agency, status in [("chicago", 200), ("boston", 403), (None, 403)]:
        answer = acme.post("/session", {"externalUserId": "r", "externalAgencyId": agency})
        assert answer.status_code == status


def test_the_clock_of_the_database_dates_the_token(acme):
    acme.token()
    with tenant_scope(acme.tenant.pk):
        row = SessionToken.objects.annotate(now=Now()).get()
    assert abs(row.now - row.issued_at) < timedelta(seconds=5)
    assert row.expires_at - row.issued_at == timedelta(seconds=300)


# --- who the rep is -------------------------------------------------------------------------------

SAM = {"name": " Sam Carter ", "email": "sam@example.com", "team": "Blue"}


def tell(integrator, rep, user="rep_8842", agency=None, **more):
    body = {"externalUserId": user, "externalAgencyId": agency, "rep": rep} | more
    return integrator.post("/session", body)


def rep_of(integrator, user="rep_8842"):
    with tenant_scope(integrator.tenant.pk):
        return Rep.objects.select_related("agency").filter(external_id=user).first()


def details(integrator, user="rep_8842"):
    rep = rep_of(integrator, user)
    return (rep.name, rep.email, rep.team)


def test_who_the_rep_is_can_be_told_and_is_in_no_token(acme, caplog):
    import jwt

    stranger = make_integrator("Stranger")
    answer = tell(acme, SAM, agency="chicago", more=1)
    assert answer.status_code == 200
    assert details(acme) == ("Sam Carter", "sam@example.com", "Blue")
    assert rep_of(acme).agency.external_id == "chicago"
    assert rep_of(stranger) is None
    claims = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    assert set(claims) == {"iss", "aud", "sub", "tid", "jti", "iat", "nbf", "exp"}
    assert "Carter" not in f"{claims} {caplog.text}" and "sam@" not in f"{claims} {caplog.text}"
    assert tell(stranger, {"name": "Somebody Else"}).status_code == 200
    assert details(acme)[0] == "Sam Carter"


@pytest.mark.parametrize("rep", [None, {}, {"name": None, "email": None}, {"shoe": 46}])
def test_nothing_told_changes_nothing(acme, rep):
    assert tell(acme, SAM).status_code == 200
    assert tell(acme, rep).status_code == 200
    assert details(acme) == ("Sam Carter", "sam@example.com", "Blue")


NO_TEXT = ("", " ", 7, False, [], {}, "s" * 255, "a\x00b", "\ud800", "a\r\nBcc: b")
NO_ADDRESS = ("sam", "sam@", "@example.com", "a b@example.com", "Sam <sam@example.com>",
              "a@example.com,b@example.com", f"{'s' * 250}@example.com")  # fmt: skip


def test_details_of_a_wrong_kind_are_refused_by_name(acme):
    odd = [("rep", value) for value in ("Sam", 7, True, [], ["Sam"])]
    odd += [(f"rep.{field}", value) for field in SAM for value in NO_TEXT]
    odd += [("rep.name", "s" * 201), ("rep.team", "s" * 201)]
    odd += [("rep.email", value) for value in NO_ADDRESS]
    for field, value in odd:
        _, _, inner = field.partition(".")
        answer = tell(acme, {inner: value} if inner else value)
        assert (answer.status_code, code(answer)) == (400, "INVALID_REQUEST"), (field, value)
        assert answer.json()["error"]["details"] == {"field": field}, value
    assert rep_of(acme) is None
    with tenant_scope(acme.tenant.pk):
        assert not SessionToken.objects.exists()


def test_what_a_person_wrote_is_not_told_over(acme):
    """The integrator corrects what it told itself, field by field, and fills what is empty."""
    tell(acme, SAM)
    tell(acme, {"name": "Samuel Carter", "team": "Red"})
    assert details(acme) == ("Samuel Carter", "sam@example.com", "Red")
    edit_rep(acme, name="Sammy C.", email="")
    tell(acme, {"name": "Samuel Carter", "email": "sam@example.org", "team": "Green"})
    assert details(acme) == ("Sammy C.", "sam@example.org", "Green")
    bring(acme, "externalUserId,team\nrep_8842,Gold")
    tell(acme, {"team": "Green", "email": "sam@example.net"})
    assert details(acme) == ("Sammy C.", "sam@example.net", "Gold")
    edit_rep(acme, name="")
    tell(acme, {"name": "Samuel Carter"})
    assert details(acme)[0] == "Samuel Carter"


def edit_rep(integrator, **changes):
    rep = rep_of(integrator)
    before = RepDetails.of(rep)
    who = {"tenant_id": integrator.tenant.pk, "agencies": (), "public_id": rep.public_id}
    rep_update(**who, wanted=replace(before, **changes), seen=before.digest, actor="user:1")


def bring(integrator, text):
    who = {"tenant_id": integrator.tenant.pk, "agencies": ()}
    sheet = sheet_read(text)
    plan = import_plan(**who, sheet=sheet)
    how = {"digest": plan.digest, "replace": True, "actor": "user:1"}
    import_carry_out(**who, sheet=sheet, **how)


def test_a_test_key_tells_nothing_of_a_real_rep(acme):
    _, secret = api_key_create(tenant=acme.tenant, name="Sandbox", mode="test")
    tester = replace(acme, secret=secret)
    tell(acme, SAM)
    tell(tester, {"name": "Test", "team": "Test"}, agency="elsewhere")
    assert details(acme) == ("Sam Carter", "sam@example.com", "Blue")
    assert rep_of(acme).agency is None
    tell(tester, {"name": "Test"}, user="tester")
    assert details(acme, "tester")[0] == "Test"
    assert rep_of(acme, "tester").sandbox_only
    tell(acme, {"name": "Real"}, user="tester")
    assert details(acme, "tester")[0] == "Real"
    assert not rep_of(acme, "tester").sandbox_only


def test_a_key_limited_to_agencies_tells_of_those_who_call_there(acme):
    tell(acme, SAM, agency="north")
    with tenant_scope(acme.tenant.pk):
        south = Agency.objects.create(tenant=acme.tenant, external_id="south")
    _, secret = api_key_create(tenant=acme.tenant, name="South", agencies=[south.pk])
    limited = replace(acme, secret=secret)
    assert code(tell(limited, {"name": "Nosy"}, agency="north")) == "INSUFFICIENT_SCOPE"
    assert details(acme)[0] == "Sam Carter" and rep_of(acme).agency.external_id == "north"
    assert tell(limited, {"team": "Sun"}, agency="south").status_code == 200
    assert (rep_of(acme).team, rep_of(acme).agency) == ("Sun", south)
