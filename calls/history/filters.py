"""What a list of calls is asked for, and the cursor that continues it.

Times are compared to the millisecond, which is what the API shows: a row's own `endedAt` finds it.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from tenants.errors import InvalidRequest
from tenants.sealing import SealBroken, seal, unseal

PURPOSE = "athos.calls.cursor"
DEFAULT_LIMIT, MAX_LIMIT = 50, 100
LONGEST_NAME = 200  # characters
LONGEST_CURSOR = 1000
SOURCES = ("roleplay",)
MILLISECOND = timedelta(milliseconds=1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LIMIT = re.compile(r"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class CallFilters:
    """Which calls are wanted. `ended_before` and the others that end in before are exclusive.

    With `scored_from` the list goes by the time of scoring, oldest first, else by the end of the
    call, newest first.
    """

    ended_from: datetime | None = None
    ended_before: datetime | None = None
    scored_from: datetime | None = None
    source: str | None = None
    external_user_id: str | None = None
    external_agency_id: str | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Self:
        """From the parameters of a request. Raises InvalidRequest, which names the parameter."""
        scored_from = _moment(query, "scoredFrom")
        ended_from = _moment(query, "from")
        if ended_from is None and scored_from is None:
            raise _refused("from", "is required.")
        source = _name(query, "source")
        if source is not None and source not in SOURCES:
            raise _refused("source", f"must be {' or '.join(SOURCES)}.")
        return cls(
            ended_from=ended_from,
            ended_before=_moment(query, "to", last=True),
            scored_from=scored_from,
            source=source,
            external_user_id=_name(query, "externalUserId"),
            external_agency_id=_name(query, "externalAgencyId"),
        )

    def digest(self, *, tenant_id: uuid.UUID, mode: str) -> str:
        """Names this list: the same for the same filters, however they were written."""
        plain = json.dumps([str(tenant_id), mode, asdict(self)], default=datetime.isoformat)
        return hashlib.sha256(plain.encode()).hexdigest()


def limit_parse(query: Mapping[str, str]) -> int:
    """How many rows a page has."""
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise _refused("limit", f"must be a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: after the row (`at`, `row_id`).

    `as_of` is the moment of the first page: what was scored later is not part of this list.
    """

    as_of: datetime
    at: datetime
    row_id: uuid.UUID

    def write(self, *, list_digest: str) -> str:
        """Sealed: it holds internal ids, and nobody may make or change one."""
        place = [list_digest, self.as_of.isoformat(), self.at.isoformat(), self.row_id.hex]
        return seal(json.dumps(place).encode(), purpose=PURPOSE)

    @classmethod
    def read(cls, text: str, *, list_digest: str) -> Self:
        """Raises InvalidRequest for anything but a cursor of this very list."""
        try:
            opened = unseal(text, purpose=PURPOSE) if len(text) <= LONGEST_CURSOR else b""
            made_for, as_of, at, row_id = json.loads(opened)
        except (SealBroken, ValueError) as broken:
            raise _refused("cursor", "is not one of ours.") from broken
        if made_for != list_digest:
            raise _refused("cursor", "belongs to another list: keep the filters while paging.")
        return cls(datetime.fromisoformat(as_of), datetime.fromisoformat(at), uuid.UUID(row_id))


def _moment(query: Mapping[str, str], name: str, *, last: bool = False) -> datetime | None:
    """A point in time in UTC, to the millisecond; without a zone it is meant as UTC.

    A date is the whole day. `last` gives the first moment after the one named: an exclusive end.
    """
    text = query.get(name)
    if text is None:
        return None
    text = text.strip()
    try:
        if _DATE.fullmatch(text):
            day = datetime.combine(date.fromisoformat(text), time(), UTC)
            return day + timedelta(days=1) if last else day
        # an unescaped + of the zone arrives as a space
        at = datetime.fromisoformat(text.replace(" ", "+"))
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        at = at.replace(microsecond=at.microsecond // 1000 * 1000)
        return at + MILLISECOND if last else at
    except (ValueError, OverflowError) as odd:
        raise _refused(name, "must be a time such as 2026-06-05T18:05:00.000Z.") from odd


def _name(query: Mapping[str, str], name: str) -> str | None:
    text = query.get(name)
    if text is None:
        return None
    text = text.strip()
    if not 1 <= len(text) <= LONGEST_NAME or "\x00" in text:
        raise _refused(name, f"must have 1 to {LONGEST_NAME} characters.")
    return text


def _refused(name: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{name} {problem}", details={"field": name})
