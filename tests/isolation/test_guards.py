"""Guards taken away one at a time: each time somebody must be seen to reach what is not theirs."""

from collections.abc import Callable, Iterator
from unittest.mock import patch

import jwt
import pytest
from django.conf import settings
from django.db import connection, transaction
from django_scopes import ScopeError

from calls.history import listing
from calls.services import session_jwt
from calls.services.tokens import RedeemRequest, session_redeem, session_token_read
from tenants import auth
from tenants.errors import AthosError
from tenants.isolation import AgenciesMismatch, TenantMismatch, limited_to, tenant_scope
from tenants.models import Agency, Tenant
from tenants.tests import test_locks
from tests.isolation.database_guards import behaviour, database_guards
from tests.isolation.identities import Identity, identities
from tests.isolation.lines import EVERY_LINE, SCOPES, standing
from tests.isolation.matrix import ask, probe_problems, problems
from tests.isolation.routes import V1
from tests.isolation.source_guards import SOURCE_GUARDS, SourceGuard
from tests.isolation.test_canaries import said_to
from tests.isolation.test_outside_ids import strangers_reached
from tests.isolation.world import World, token_of

pytestmark = pytest.mark.prove
KILLED_AT_LEAST = 0.95


# --- checks beside the matrix: each raises or gives something when its guard is gone --------------


def _asker(world: World, name: str) -> Identity:
    return next(identity for identity in identities(world) if identity.name == name)


def _raises(error: type[Exception], act: Callable[[], object]) -> list[str]:
    try:
        act()
    except error:
        return []
    return [f"{error.__name__} was not raised"]


def _redeem(world: World, origin: str = "", times: int = 1) -> object:
    tenant_id, claims = session_token_read(token_of(world.a))
    wish = RedeemRequest("ma-full-sale", "Advanced", {}, origin)
    with transaction.atomic():
        try:
            for _ in range(times):
                session_redeem(tenant_id=tenant_id, claims=claims, wish=wish)
        finally:
            transaction.set_rollback(True)
    return None


def endpoint_mode(world: World) -> list[str]:
    asker, path = _asker(world, "live key of A"), world.a.ids["endpoint"]["test"]
    answer = ask(asker, "GET", f"{V1}/webhook-endpoints/{path}", None, world.a)
    return [] if answer.status == 404 else ["a live key sees an endpoint for tests"]


def agency_of_a_token(world: World) -> list[str]:
    return probe_problems(world, identities(world))


def scope_missing(world: World) -> list[str]:
    return _raises(ScopeError, lambda: Agency.objects.count())


def two_tenants(world: World) -> list[str]:
    def nested() -> None:
        with tenant_scope(world.a.tenant.pk), tenant_scope(world.b.tenant.pk):
            pass

    return _raises(TenantMismatch, nested)


def wider_agencies(world: World) -> list[str]:
    def nested() -> None:
        one, two = (world.a.calls[part].agency_id for part in ("one", "two"))
        with limited_to([one]), tenant_scope(world.a.tenant.pk, agencies=[two]):
            pass

    return _raises(AgenciesMismatch, nested)


def nothing_stays(world: World) -> list[str]:
    with tenant_scope(world.a.tenant.pk, agencies=[world.a.calls["one"].agency_id]):
        pass
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(current_setting('app.tenant_id', true), ''),"
            " coalesce(current_setting('app.agencies', true), '')"
        )
        left = cursor.fetchone()
    connection.close()
    return [] if left == ("", "") else [f"{left} stays on the connection"]


def _forgetful(world: World, name: str, path: str) -> list[str]:
    """A view that forgets the limit is held by its door."""
    with patch.object(listing.Reader, "scope", lambda reader: tenant_scope(reader.tenant_id)):
        return problems(world, [_asker(world, name)], [path], exactly=False)


def ambient_limit(world: World) -> list[str]:
    return _forgetful(world, "limited key of A", f"{V1}/calls/<str:call_id>")


def ambient_member(world: World) -> list[str]:
    return _forgetful(world, "limited manager of A", "/calls/<str:call_id>")


def junk_costs_nothing(world: World) -> list[str]:
    def refuse(key: str) -> None:
        raise AssertionError("junk was looked up")

    with patch.object(auth, "key_lookup", refuse):
        return _raises(AthosError, lambda: auth.caller_find("ath_live_" + "x" * 49, None))


def membership(world: World) -> list[str]:
    return probe_problems(world, identities(world))


def suspended_redeem(world: World) -> list[str]:
    tenant_id, claims = session_token_read(token_of(world.a))
    wish = RedeemRequest("ma-full-sale", "Advanced", {}, "")

    def late() -> None:
        with transaction.atomic():
            with tenant_scope(tenant_id):
                Tenant.objects.filter(pk=tenant_id).update(status="suspended")
            try:
                session_redeem(tenant_id=tenant_id, claims=claims, wish=wish)
            finally:
                transaction.set_rollback(True)

    return _raises(AthosError, late)


def redeem_origin(world: World) -> list[str]:
    stranger = f"https://{world.b.canary()}.example"
    return _raises(AthosError, lambda: _redeem(world, origin=stranger))


def token_once(world: World) -> list[str]:
    return _raises(AthosError, lambda: _redeem(world, times=2))


def forged_token(world: World) -> list[str]:
    good = token_of(world.a)
    header = jwt.get_unverified_header(good)
    payload = jwt.decode(good, options={"verify_signature": False})
    forged = jwt.encode(payload, "x" * 40, algorithm="HS256", headers=header)
    ring = settings.SESSION_TOKEN_KEYS
    now = payload["iat"]
    return _raises(AthosError, lambda: session_jwt.session_jwt_read(forged, ring=ring, now=now))


def sealed_purposes(world: World) -> list[str]:
    from tenants import sealing

    sealing._box.cache_clear()
    try:
        sealed = sealing.seal(b"{}", purpose="athos.embed.site")
        return _raises(sealing.SealBroken, lambda: sealing.unseal(sealed, purpose="athos.other"))
    finally:
        sealing._box.cache_clear()


CHECKS = {
    name.replace("_", " "): check
    for name, check in list(globals().items())
    if callable(check) and getattr(check, "__module__", "") == __name__ and not name.startswith("_")
}


def red(world: World, guard: SourceGuard) -> list[str]:
    """What the suite says while the guard is gone."""
    found: list[str] = []
    askers = [i for i in identities(world) if i.side or guard.lines == EVERY_LINE]
    if guard.lines == (SCOPES,):  # they know tenants only
        askers = [i for i in askers if not i.agencies_only]
    with standing(*guard.lines):
        if guard.routes:
            found += problems(world, askers, guard.routes, exactly=guard.lines == EVERY_LINE)
        if guard.doors:
            found += strangers_reached(world, guard.doors)
        if guard.check in CHECKS:
            found += CHECKS[guard.check](world)
    return found


# --- the proof -----------------------------------------------------------------------------------


def _mutants_of_the_source(world: World) -> Iterator[tuple[str, bool]]:
    for guard in SOURCE_GUARDS:
        if guard.check == "socket origin":
            continue  # asynchronous: a test of its own
        assert red(world, guard) == [], f"red with the guard in place: {guard.name}"
        with guard.away():
            try:
                seen = bool(red(world, guard))
            except Exception:  # a test that breaks is red too
                seen = True
        yield guard.name, seen


def _locks() -> list[str]:
    found = []
    for name, check in vars(test_locks).items():
        if name.startswith("test_") and name != "test_migrations_match_the_models":
            try:
                check()
            except AssertionError:
                found.append(name)
    return found


def _report(kind: str, outcomes: list[tuple[str, bool]]) -> None:
    survivors = [name for name, seen in outcomes if not seen]
    share = 1 - len(survivors) / len(outcomes)
    print(f"\n{kind}: {len(outcomes)} guards, {share:.1%} seen; not seen: {survivors}")
    assert share >= KILLED_AT_LEAST, survivors


@pytest.mark.timeout(3600)
def test_every_guard_in_the_source_is_missed(world):
    _report("source", list(_mutants_of_the_source(world)))


@pytest.mark.timeout(3600)
def test_every_guard_in_the_database_is_missed(world):
    assert _locks() == []
    outcomes, by_catalogue_only = [], []
    for guard in database_guards():
        assert behaviour(world, guard) == [], guard.name
        with guard.gone():
            behaves = bool(behaviour(world, guard))
            seen = behaves or bool(_locks())
        outcomes.append((guard.name, seen))
        if not behaves:
            by_catalogue_only.append(guard.name)
    print(f"\nseen in the catalogue only: {by_catalogue_only}")
    _report("database", outcomes)


async def test_the_sockets_origin_is_missed(world):
    (guard,) = [guard for guard in SOURCE_GUARDS if guard.check == "socket origin"]
    message = {"type": "join", "ticket": world.a.ids["join_ticket"]["one"], "version": 1}
    stranger = f"https://{world.b.canary()}.example"
    with guard.away():
        assert (await said_to(message, stranger))[0]["type"] == "joined"
    assert (await said_to(message, stranger))[-1]["type"] == "close"
