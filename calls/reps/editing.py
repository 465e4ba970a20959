"""Changes to what people know of reps and agencies. Each is audited, by ids only."""

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from calls.reps.people import AgencyNotFound, RepNotFound, is_own, reps_seen
from tenants.errors import AthosError, InsufficientScope, InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import Agency, Rep
from tenants.services import audit

LONGEST = 200  # characters of a name, a team
LONGEST_EMAIL = 254


class ChangedMeanwhile(AthosError):
    code, status = "CHANGED_MEANWHILE", 409
    message = "Somebody changed this while you looked at it. This is how it is now."


@dataclass(frozen=True, slots=True)
class RepDetails:
    """What people say of a rep. `agency` is a public id; empty: none."""

    name: str
    email: str
    team: str
    agency: str

    @classmethod
    def of(cls, rep: Rep) -> "RepDetails":
        return cls(rep.name, rep.email, rep.team, rep.agency.public_id if rep.agency else "")

    @property
    def digest(self) -> str:
        """Names this state: a form carries the one that it was made from."""
        plain = json.dumps([self.name, self.email, self.team, self.agency])
        return hashlib.sha256(plain.encode()).hexdigest()[:16]


def rep_update(
    *,
    tenant_id: uuid.UUID,
    agencies: Sequence[uuid.UUID],
    public_id: str,
    wanted: RepDetails,
    seen: str,
    actor: str,
) -> Rep:
    """Write down who a rep is. `seen` is the digest of what the change was made from.

    `agencies` is the limit of who asks: only for reps of those, who stay in one of them. Raises
    RepNotFound, ChangedMeanwhile, InvalidRequest, InsufficientScope.
    """
    wanted = RepDetails(
        text_checked(wanted.name, "name"),
        email_checked(wanted.email),
        text_checked(wanted.team, "team"),
        wanted.agency,
    )
    with tenant_scope(tenant_id, agencies=agencies):
        rows = reps_seen(tenant_id, agencies).select_related("agency")
        rep = rows.select_for_update(of=("self",)).filter(public_id=public_id).first()
        if rep is None:
            raise RepNotFound
        if not is_own(rep, agencies):
            raise InsufficientScope("This rep is in another agency now.")
        before = RepDetails.of(rep)
        if before.digest != seen:
            raise ChangedMeanwhile
        agency = _agency(tenant_id, agencies, wanted.agency)
        changed = [name for name in ("name", "email", "team", "agency")
                   if getattr(before, name) != getattr(wanted, name)]  # fmt: skip
        if not changed:
            return rep
        rep.name, rep.email, rep.team, rep.agency = wanted.name, wanted.email, wanted.team, agency
        rep.told = [name for name in rep.told if name not in changed]
        rep.save(update_fields=["name", "email", "team", "agency", "told"])
        audit(
            tenant_id=tenant_id,
            actor=actor,
            action="rep.update",
            target=f"rep:{rep.public_id}",
            details={"changed": changed},
        )
    return rep


def agency_rename(
    *, tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], public_id: str, name: str, actor: str
) -> Agency:
    """What people call the agency; empty: the integrator's id stands for it."""
    name = text_checked(name, "name")
    with tenant_scope(tenant_id, agencies=agencies):
        rows = Agency.objects.for_tenant(tenant_id).select_for_update()
        rows = rows.filter(pk__in=agencies) if agencies else rows
        agency = rows.filter(public_id=public_id).first()
        if agency is None:
            raise AgencyNotFound
        if agency.name != name:
            agency.name = name
            agency.save(update_fields=["name"])
            target = f"agency:{agency.public_id}"
            audit(tenant_id=tenant_id, actor=actor, action="agency.update", target=target)
    return agency


def agency_add(*, tenant_id: uuid.UUID, external_id: str, name: str, actor: str) -> Agency:
    """An agency before its first call. Raises InvalidRequest, for one that is there as well."""
    external_id = text_checked(external_id, "id")
    name = text_checked(name, "name")
    if not external_id:
        raise InvalidRequest("Say how your integration names it.", details={"field": "id"})
    agency = Agency(tenant_id=tenant_id, external_id=external_id, name=name)
    with tenant_scope(tenant_id):
        Agency.objects.bulk_create([agency], ignore_conflicts=True)
        if not Agency.objects.for_tenant(tenant_id).filter(pk=agency.pk).exists():
            raise InvalidRequest("There is an agency of that id.", details={"field": "id"})
        target = f"agency:{agency.public_id}"
        audit(tenant_id=tenant_id, actor=actor, action="agency.create", target=target)
    return agency


def text_checked(text: str, field: str, *, longest: int = LONGEST) -> str:
    """One line, trimmed. Raises InvalidRequest, which names the field."""
    text = text.strip()
    if len(text) > longest:
        raise InvalidRequest(
            f"The {field} has at most {longest} characters.", details={"field": field}
        )
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidRequest(
            f"The {field} holds a character that is no text.", details={"field": field}
        )
    return text


def email_checked(text: str, field: str = "email") -> str:
    """An address, or nothing. Raises InvalidRequest, which names the field."""
    text = text_checked(text, field, longest=LONGEST_EMAIL)
    try:
        if text:
            validate_email(text)
    except ValidationError as odd:
        raise InvalidRequest("That is no e-mail address.", details={"field": field}) from odd
    return text


def _agency(tenant_id: uuid.UUID, agencies: Sequence[uuid.UUID], public_id: str) -> Agency | None:
    if not public_id:
        if agencies:
            raise InvalidRequest("Choose one of your agencies.", details={"field": "agency"})
        return None
    rows = Agency.objects.for_tenant(tenant_id)
    rows = rows.filter(pk__in=agencies) if agencies else rows
    agency = rows.filter(public_id=public_id).first()
    if agency is None:
        raise InvalidRequest("There is no such agency.", details={"field": "agency"})
    return agency
