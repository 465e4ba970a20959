"""Reps and agencies, by the names that the integrator gives them."""

import uuid
from dataclasses import asdict, dataclass

from tenants.auth import Caller
from tenants.errors import InsufficientScope
from tenants.models import Agency, ApiKey, Rep

TRIES = 5  # at a rep whom erasures take away meanwhile


@dataclass(frozen=True, slots=True)
class RepTold:
    """Who a rep is, as the integrator says when it mints; empty: it did not say."""

    name: str = ""
    email: str = ""
    team: str = ""


def agency_check(caller: Caller, external_agency_id: str | None) -> None:
    """A key that is limited to agencies works for reps of those only. Needs the tenant's scope."""
    if not caller.agencies:
        return
    mine = Agency.objects.for_tenant(caller.tenant).filter(pk__in=caller.agencies)
    if not mine.filter(external_id=external_agency_id).exists():
        raise InsufficientScope("This API key is limited to other agencies.")


def agency_ensure(*, tenant_id: uuid.UUID, external_id: str | None) -> Agency | None:
    """The agency's row, made when it is new. Needs the tenant's scope, as the next does."""
    if external_id is None:
        return None
    who = {"tenant_id": tenant_id, "external_id": external_id}
    Agency.objects.bulk_create([Agency(**who)], ignore_conflicts=True)
    return Agency.objects.get(**who)


def rep_ensure(*, tenant_id: uuid.UUID, external_id: str, agency: Agency | None, mode: str) -> Rep:
    """The rep's row; a rep is where it was last seen, but no test moves a real one."""
    is_test = mode == ApiKey.Mode.TEST
    fresh = Rep(tenant_id=tenant_id, external_id=external_id, agency=agency, sandbox_only=is_test)
    rep = _rep_locked(fresh)
    if is_test:
        return rep
    moves = agency is not None and rep.agency_id != agency.pk
    if moves or rep.sandbox_only:
        rep.agency = agency if moves else rep.agency
        rep.sandbox_only = False
        rep.save(update_fields=["agency", "sandbox_only"])
    return rep


def _rep_locked(fresh: Rep) -> Rep:
    """The row of that name, or `fresh`; an erasure of the rep waits for whoever has it.

    One that was there may be erased before it is locked: then it is made anew.
    """
    rows = Rep.objects.select_for_update(no_key=True)
    for _ in range(TRIES):
        Rep.objects.bulk_create([fresh], ignore_conflicts=True)
        rep = rows.filter(tenant_id=fresh.tenant_id, external_id=fresh.external_id).first()
        if rep is not None:
            return rep
    raise Rep.DoesNotExist


def rep_tell(
    *,
    tenant_id: uuid.UUID,
    external_id: str,
    external_agency_id: str | None,
    mode: str,
    told: RepTold,
) -> None:
    """Write down what the integrator says of a rep, over nothing that a person wrote.

    The rep is made when it is new, and is where the integrator says. A test tells nothing of a
    real one. Needs the scope of the whole tenant: the rep may be known in another agency.
    """
    agency = agency_ensure(tenant_id=tenant_id, external_id=external_agency_id)
    rep = rep_ensure(tenant_id=tenant_id, external_id=external_id, agency=agency, mode=mode)
    if mode == ApiKey.Mode.TEST and not rep.sandbox_only:
        return
    changes = {
        field: value
        for field, value in asdict(told).items()
        if value not in {"", getattr(rep, field)} and (field in rep.told or not getattr(rep, field))
    }
    if changes:
        for field, value in changes.items():
            setattr(rep, field, value)
        rep.told = sorted({*rep.told, *changes})
        rep.save(update_fields=[*changes, "told"])
