"""Where a conversation stands. Frozen; every decision makes the next one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from calls.director.pack import Pack
from calls.director.phrases import plain

RECENT = 12  # lines that are not said again if another one will do
HEARD_SHARE = 0.7  # a line cut short counts as heard from this share of its words
FORMAT = 1


class SnapshotError(ValueError):
    """A snapshot that does not belong to this pack or cannot be read."""


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a reply. Its marks come true when it was heard:
    `fact:<id>`, `raised:<id>`, `agreed`, `parted`."""

    text: str
    pool: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConcernState:
    status: str = "waiting"  # raised, resolved
    handled: tuple[str, ...] = ()  # good answers so far
    voiced: int = 0
    turn: int = 0  # when it was last voiced


@dataclass(frozen=True, slots=True)
class State:
    pack: str  # digest
    difficulty: str
    seed: int
    trust: float
    turn: int = 0  # of the rep
    stage: str = "opening"
    revealed: tuple[str, ...] = ()
    concerns: Mapping[str, ConcernState] = field(default_factory=dict)
    acts: Mapping[str, int] = field(default_factory=dict)  # how often the rep did what
    used: Mapping[str, int] = field(default_factory=dict)  # how often lines were drawn from where
    recent: tuple[str, ...] = ()
    last: tuple[Said, ...] = ()  # the last reply
    pending: tuple[Said, ...] = ()  # said, not yet known to be heard
    expecting: str = ""  # the concern that the rep should answer now
    concern_turn: int = -100  # when a concern was last voiced
    unknown_run: int = 0  # turns in a row that were not understood
    silences: int = 0  # prompts since the rep last spoke
    holding: bool = False  # the rep asked for a moment
    interruptions: int = 0
    agreed: bool = False
    parted: bool = False  # goodbye was said

    def concern(self, name: str) -> ConcernState:
        return self.concerns.get(name, ConcernState())


def begin(pack: Pack, difficulty: str, seed: int) -> State:
    """The state before anybody spoke."""
    return State(pack.digest, difficulty, seed, trust=pack.levels[difficulty].trust)


def mood(pack: Pack, state: State) -> str:
    wary, warm = pack.levels[state.difficulty].moods
    if state.trust < wary:
        return "wary"
    return "warm" if state.trust >= warm else "neutral"


def heard(state: State, text: str, *, complete: bool) -> State:
    """What of the last reply reached the rep. Lines beyond it were never said: what they would
    have told or asked stays to be told or asked."""
    left = len(plain(text).split())
    pending = list(state.pending)
    if complete and left == 0:
        left = sum(len(plain(s.text).split()) for s in pending)
    while pending:
        size = max(1, len(plain(pending[0].text).split()))
        if left < size * HEARD_SHARE:
            break
        state = _commit(state, pending.pop(0))
        left -= size
    return replace(state, pending=tuple(pending) if complete else ())


def unheard(state: State) -> State:
    """What nobody told to have been heard was not: it stays to be told or asked."""
    return replace(state, pending=()) if state.pending else state


def _commit(state: State, said: Said) -> State:
    for mark in said.marks:
        kind, _, name = mark.partition(":")
        if kind == "fact" and name not in state.revealed:
            state = replace(state, revealed=tuple(sorted({*state.revealed, name})))
        elif kind == "raised":
            state = _raised(state, name)
        elif kind == "agreed":
            state = replace(state, agreed=True)
        elif kind == "parted":
            state = replace(state, parted=True)
    return state


def _raised(state: State, name: str) -> State:
    concern = state.concern(name)
    if concern.status == "resolved":
        return state
    concern = replace(concern, status="raised", voiced=concern.voiced + 1, turn=state.turn)
    return replace(
        state,
        concerns={**state.concerns, name: concern},
        expecting=name,
        concern_turn=state.turn,
    )


def snapshot(state: State) -> dict[str, Any]:
    """JSON, equal for equal states."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(state)))
    return {"format": FORMAT, **data}


def restore(pack: Pack, data: Mapping[str, Any]) -> State:
    """The state of a snapshot taken with the same pack."""
    fields = dict(data)
    if fields.pop("format", None) != FORMAT:
        raise SnapshotError("The snapshot has another format.")
    if fields.get("pack") != pack.digest:
        raise SnapshotError("The snapshot belongs to another pack.")
    try:
        return State(
            **fields
            | {name: tuple(fields[name]) for name in ("revealed", "recent")}
            | {name: tuple(map(_said, fields[name])) for name in ("last", "pending")}
            | {"concerns": {n: _concern(c) for n, c in fields["concerns"].items()}}
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SnapshotError("The snapshot cannot be read.") from error


def digest(state: State) -> str:
    """A short name for the state, for logs."""
    canonical = json.dumps(snapshot(state), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def changes(before: State, after: State) -> dict[str, Any]:
    """What a decision changed, without the bookkeeping of lines."""
    old, new = snapshot(before), snapshot(after)
    skip = {"used", "recent", "last", "pending", "acts", "pack", "seed", "format"}
    return {k: v for k, v in new.items() if k not in skip and old[k] != v}


def _said(data: Mapping[str, Any]) -> Said:
    return Said(data["text"], data["pool"], tuple(data["marks"]))


def _concern(data: Mapping[str, Any]) -> ConcernState:
    return ConcernState(**{**data, "handled": tuple(data["handled"])})
