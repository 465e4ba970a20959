"""Very many calls in a throw-away PostgreSQL, copied in as its superuser.

The spread is a busy product's: a few large agencies and many small ones, reps of one agency each,
one call in twenty failed, some of the sandbox, scored half a minute or up to three days after the
end, and ends that coincide. One rep and one agency left long ago.
"""

import base64
import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg

from athos.engines.folders import Folders
from athos.engines.postgres import DATABASE, SUPERUSER

SPAN = timedelta(days=730)
COLUMNS = (
    "id", "tenant_id", "public_id", "session_id", "mode", "source", "rep_id", "agency_id",
    "external_user_id", "external_agency_id", "drill_owner_id", "drill_id", "drill_key",
    "difficulty", "filters", "persona_name", "seed", "stage", "end_reason", "failure", "epoch",
    "created_at", "updated_at", "started_at", "ended_at", "scored_at", "tries", "failures",
    "last_error", "consent_source", "consent_version", "overall",
)  # fmt: skip
# How the calls of a tenant end up, after those that are scored and real.
KINDS = (("live", "failed", 0.05), ("test", "scored", 0.05), ("live", "ended", 0.0005))
VOCABULARY = 20_000  # words; WORDS is how many are drawn for each call
WORDS = 120
GONE = 40  # calls of the rep and the agency that left: the oldest of all
NO_AGENCY = 0.1  # share of the reps


@dataclass(frozen=True)
class Crowd:
    """A tenant's agencies and reps; the last of each left long ago."""

    tenant_id: uuid.UUID
    agencies: list[tuple[uuid.UUID, str]]
    reps: list[tuple[uuid.UUID, str, int | None]]  # the number of its agency

    @classmethod
    def make(cls, tenant_id: uuid.UUID, size: int, chance: random.Random) -> "Crowd":
        """For that many calls."""
        agencies = [(_id(chance), f"agency_{n}") for n in range(max(4, min(200, size // 500)))]
        weights = [1 / (n + 2) for n in range(len(agencies) - 1)]
        homes: list[int | None] = list(chance.choices(range(len(agencies) - 1), weights, k=5000))
        reps = [
            (_id(chance), f"rep_{n}", None if chance.random() < NO_AGENCY else home)
            for n, home in enumerate(homes[: max(10, min(5000, size // 40))])
        ]
        reps.append((_id(chance), "rep_gone", len(agencies) - 1))
        return cls(tenant_id, agencies, reps)


def superuser(var: Path) -> "psycopg.Connection[tuple]":
    """Sees past row security, and may COPY into tables that have it."""
    return psycopg.connect(
        host=str(Folders(var).sockets),
        user=SUPERUSER,
        dbname=DATABASE,
        autocommit=True,
    )


def calls_copy(
    connection: "psycopg.Connection[tuple]",
    sizes: dict[uuid.UUID, int],
    *,
    drills: Sequence[tuple[uuid.UUID, uuid.UUID, str]],
    seed: int = 1,
) -> dict[uuid.UUID, Crowd]:
    """That many scored real calls for each tenant, and the others beside them.

    `drills` are their owners, ids and keys, the first practised most. The rows come in the order in
    which calls begin.
    """
    chance = random.Random(seed)
    crowds = {tenant: Crowd.make(tenant, size, chance) for tenant, size in sizes.items()}
    with connection.transaction(), indexes_afterwards(connection, "calls_call"):
        connection.execute("SET LOCAL session_replication_role = replica")  # no checks of keys
        for crowd in crowds.values():
            _crowd_copy(connection, crowd)
        into = f"COPY calls_call ({', '.join(COLUMNS)}) FROM STDIN"
        with connection.cursor().copy(into.encode()) as copy:
            for line in _lines(crowds, sizes, drills, chance):
                copy.write(line)
    for table in ("calls_call", "tenants_rep", "tenants_agency"):
        connection.execute(f"VACUUM (ANALYZE) {table}".encode())
    return crowds


@contextmanager
def indexes_afterwards(connection: "psycopg.Connection[tuple]", table: str) -> Iterator[None]:
    """Drops those that no constraint needs and makes them again: faster than row by row."""
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = %s::regclass"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)",
        [table],
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        connection.execute(definition.encode())


def words_copy(connection: "psycopg.Connection[tuple]", tenant_id: uuid.UUID) -> int:
    """Words for the transcripts of all of a tenant's calls; how many calls. Once for a tenant.

    Each has up to WORDS different ones, the first of the vocabulary in nearly every call and the
    last in a few of a million, as in talk.
    """
    calls = connection.execute(
        "SELECT id, created_at, calls_labels(mode, created_at, drill_key, rep_id, agency_id)"
        " FROM calls_call AS call WHERE tenant_id = %s AND NOT EXISTS"
        " (SELECT FROM calls_transcriptwords WHERE call_id = call.id) ORDER BY created_at",
        [tenant_id],
    ).fetchall()
    numbers = np.random.default_rng(7)
    likely = 1 / np.arange(1, VOCABULARY + 1) ** 1.1
    edges = np.cumsum(likely / likely.sum())
    into = b"COPY calls_transcriptwords (id, tenant_id, call_id, created_at, words) FROM STDIN"
    with connection.transaction(), indexes_afterwards(connection, "calls_transcriptwords"):
        connection.execute("SET LOCAL session_replication_role = replica")
        with connection.cursor().copy(into) as copy:
            for call_id, created_at, labels in calls:
                said = set(np.searchsorted(edges, numbers.random(WORDS)).tolist())
                words = " ".join(f"'{word_of(one)}':{n}" for n, one in enumerate(said, start=1))
                words += "".join(f" '{label}'" for label in (tenant_id, *labels))
                row = f"{uuid.uuid4()}\t{tenant_id}\t{call_id}\t{created_at}\t{words}\n"
                copy.write(row)
    connection.execute(b"VACUUM (ANALYZE) calls_transcriptwords")
    return len(calls)


def word_of(rank: int) -> str:
    """The word of that rank, made of letters that no stemmer touches."""
    letters = "bcdfgklm"
    return "q" + "".join(letters[int(digit, 8)] for digit in f"{rank:05o}") + "q"


def _crowd_copy(connection: "psycopg.Connection[tuple]", crowd: Crowd) -> None:
    with connection.cursor().copy(
        "COPY tenants_agency (id, tenant_id, external_id, name, created_at) FROM STDIN"
    ) as copy:
        for agency_id, external_id in crowd.agencies:
            copy.write_row((agency_id, crowd.tenant_id, external_id, "", datetime.now(UTC)))
    with connection.cursor().copy(
        "COPY tenants_rep (id, tenant_id, agency_id, external_id, name, email, team, created_at)"
        " FROM STDIN"
    ) as copy:
        for rep_id, external_id, home in crowd.reps:
            agency_id = None if home is None else crowd.agencies[home][0]
            copy.write_row(
                (rep_id, crowd.tenant_id, agency_id, external_id, "", "", "", datetime.now(UTC))
            )


def _lines(
    crowds: dict[uuid.UUID, Crowd],
    sizes: dict[uuid.UUID, int],
    drills: Sequence[tuple[uuid.UUID, uuid.UUID, str]],
    chance: random.Random,
) -> Iterator[str]:
    """The text of COPY, a call each."""
    plan = [
        (crowds[tenant], mode, stage, round(size * share))
        for tenant, size in sizes.items()
        for mode, stage, share in (("live", "scored", 1.0), *KINDS)
    ]
    numbers = np.random.default_rng(chance.randrange(2**32))
    kinds = np.repeat(np.arange(len(plan)), [count for *_, count in plan])
    numbers.shuffle(kinds)
    begin = datetime.now(UTC) - SPAN - timedelta(hours=1)
    offsets = np.sort(numbers.uniform(0, SPAN.total_seconds(), len(kinds)))
    weights = {
        tenant: np.cumsum([1 / (n + 20) for n in range(len(crowd.reps) - 1)]).tolist()
        for tenant, crowd in crowds.items()
    }
    practised = np.cumsum([1 / (n + 1) for n in range(len(drills))]).tolist()
    oldest = dict.fromkeys(crowds, GONE)
    for kind, offset in zip(kinds.tolist(), offsets.tolist(), strict=True):
        crowd, mode, stage, _ = plan[kind]
        if oldest[crowd.tenant_id] and (mode, stage) == ("live", "scored"):
            oldest[crowd.tenant_id] -= 1
            rep = crowd.reps[-1]
        else:
            (rep,) = chance.choices(crowd.reps[:-1], cum_weights=weights[crowd.tenant_id])
        (drill,) = chance.choices(drills, cum_weights=practised)
        yield _line(crowd, rep, mode, stage, begin + timedelta(seconds=offset), drill, chance)


def _line(
    crowd: Crowd,
    rep: tuple[uuid.UUID, str, int | None],
    mode: str,
    stage: str,
    created: datetime,
    drill: tuple[uuid.UUID, uuid.UUID, str],
    chance: random.Random,
) -> str:
    rep_id, user, home = rep
    agency_id, agency = (r"\N", r"\N") if home is None else crowd.agencies[home]
    started = created + timedelta(seconds=2)
    ended = started + timedelta(seconds=chance.uniform(30, 1200))
    if chance.random() < 0.02:  # ended by a sweep, together with others
        ended = ended.replace(second=0, microsecond=0) + timedelta(minutes=1)
    late = 259_200 if chance.random() < 0.01 else 120
    scored = min(ended + timedelta(seconds=chance.uniform(15, late)), datetime.now(UTC))
    failure = "rep_never_spoke" if stage == "failed" else ""
    suffix = base64.urlsafe_b64encode(chance.randbytes(16)).decode()[:21]
    values = (
        _id(chance), crowd.tenant_id, f"athos_call_{suffix}", f"ext_{suffix}", mode, "roleplay",
        rep_id, agency_id, user, agency, *drill, "Advanced", "{}",
        "Dolores Whitfield", chance.getrandbits(62), stage, "rep_ended", failure, 1, created, ended,
        started, ended, scored if stage == "scored" else r"\N", 0, 0, "", "", "",
        chance.randint(0, 100) if stage == "scored" else r"\N",
    )  # fmt: skip
    return "\t".join(map(str, values)) + "\n"


def _id(chance: random.Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128), version=4)
