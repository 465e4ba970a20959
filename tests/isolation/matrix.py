"""Asks every address in every way as everybody, and says what was wrong."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.isolation.identities import Identity
from tests.isolation.routes import APART, PARAMETERS, PATTERNS, PROBES, ROUTES, Act, Probe
from tests.isolation.world import Forbidden, Side, World, forbidden

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
ONE_OF_EACH_KIND = {"nobody", "live key of A", "session token of A", "ticket of A", "manager of A"}
# What differs between two equal answers: the request id, nonces, CSRF tokens, sealed values.
_VARIES = re.compile(
    rb"req_[0-9a-f-]{36}|nonce[-=]\"?[A-Za-z0-9_+/=-]{16,}|value=\"[A-Za-z0-9]{64}\""
    rb"|name=\"form_id\" value=\"[0-9a-f-]{36}\"|X-CSRFToken[^}]*|gAAAA[A-Za-z0-9_=-]{40,}"
)
_HEADERS_THAT_VARY = {"x-athos-request-id", "date", "set-cookie", "ratelimit", "retry-after"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the envelope, or where a redirect leads."""
        if self.status in {301, 302}:
            return self.headers["location"].partition("?")[0]
        try:
            return str(json.loads(self.body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return ""

    def without(self, asked: str) -> "Answer":
        """What was asked for may be repeated: a sign-in leads back to it."""
        headers = {name: value.replace(asked, "(asked)") for name, value in self.headers.items()}
        return Answer(self.status, headers, self.body.replace(asked.encode(), b"(asked)"))

    @property
    def everything(self) -> bytes:
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        return "\n".join(lines).encode() + b"\n\n" + self.body

    @property
    def fixed(self) -> bytes:
        """All of it but what differs between any two answers."""
        kept = {n: v for n, v in self.headers.items() if n not in _HEADERS_THAT_VARY}
        plain = Answer(self.status, kept, self.body)
        return b"%d\n" % self.status + _VARIES.sub(b"?", plain.everything)


def addresses(resolver: URLResolver | None = None, before: str = "/") -> Iterator[str]:
    """Every address of the product, as it stands in `urlpatterns`."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path
        else:
            yield from addresses(entry, path)


def ask(
    identity: Identity, method: str, path: str, act: Act | None, side: Side, **changed: Any
) -> Answer:
    """One request, whose writes are taken back."""
    client = Client(raise_request_exception=False, headers=identity.headers)
    if identity.session:
        client.cookies["sessionid"] = identity.session
    query = act.query(side, identity.own) if act else {}
    body = act.body(side, identity.own) if act and act.body else None
    query, body = {**query, **changed.get("query", {})}, changed.get("body", body)
    options: dict[str, Any] = {"query_params": query}
    if method in {"POST", "PUT", "PATCH", "DELETE"}:
        if act and act.form:
            options |= {"data": body or {}} if method == "POST" else {}
        else:
            text = "" if body is None else json.dumps(body)
            options |= {"data": text, "content_type": "application/json"}
    with transaction.atomic():
        if method in {"POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE"}:
            response = getattr(client, method.lower())(path, **options)
        else:
            response = client.generic(method, path)
        answer = _read(response)
        transaction.set_rollback(True)
    return answer


def _read(response: HttpResponseBase) -> Answer:
    headers = {name.lower(): value for name, value in response.items()}
    for name, morsel in getattr(response, "cookies", {}).items():
        headers["set-cookie"] = headers.get("set-cookie", "") + f"{name}={morsel.value};"
    body = b"".join(response) if response.streaming else response.content  # type: ignore[attr-defined]
    return Answer(response.status_code, headers, body)


# --- the matrix ----------------------------------------------------------------------------------


def undeclared() -> list[str]:
    """Addresses that nobody wrote down, and those written down that are gone."""
    known, real = set(ROUTES), set(addresses())
    return [
        *(f"{path} is not declared in tests/isolation/routes.py" for path in sorted(real - known)),
        *(f"{path} is declared and gone" for path in sorted(known - real)),
    ]


def problems(
    world: World,
    everybody: Iterable[Identity],
    routes: Iterable[str] | None = None,
    exactly: bool = True,
) -> list[str]:
    """What was wrong. `exactly=False` looks only at whose data comes out, not at the status."""
    found: list[str] = []
    for identity in everybody:
        side = world.b if identity.side == "b" else world.a
        canaries = forbidden(world, identity.side, set(identity.parts))
        for path in routes or ROUTES:
            for method in _methods(path, identity, exactly):
                trial = _Trial(world, identity, side, path, method, canaries, exactly)
                found += trial.run()
    return found


def _methods(path: str, identity: Identity, exactly: bool) -> list[str]:
    """Methods that are not there are tried by one of each kind, and only in the exact run."""
    there = [method for method in ROUTES[path] if exactly or method != "HEAD"]
    if not exactly or identity.name not in ONE_OF_EACH_KIND:
        return there
    return [*there, *(method for method in METHODS if method not in there)]


@dataclass
class _Trial:
    """One identity at one method of one address."""

    world: World
    identity: Identity
    side: Side
    path: str
    method: str
    canaries: Forbidden
    exactly: bool

    def run(self) -> list[str]:
        act = ROUTES[self.path].get(self.method)
        found = []
        if act and not act.strangers:  # whoever has the link has the right to what it is for
            self.canaries = forbidden(self.world, self.side.name, {self.identity.own})
        answer = self._ask(act, _own)
        found += self._leaks(answer, "own")
        if self.exactly:
            found += self._status(act, answer)
        if act is None or "<" not in self.path or self.path in PATTERNS:
            return found
        if not act.strangers:
            return found + self._capability(act)
        nothing = self._ask(act, _missing)
        found += self._leaks(nothing, "missing")
        for whose, pick in self._strangers():
            answer = self._ask(act, pick)
            found += self._leaks(answer, whose)
            found += self._same(answer, nothing, whose)
        return found

    def _ask(self, act: Act | None, pick: Any) -> Answer:
        path = PATTERNS.get(self.path) or re.sub(
            r"<(?:\w+:)?(\w+)>", lambda m: pick(self, m.group(1)), self.path
        )
        answer = ask(self.identity, self.method, path, act, self.side)
        return answer.without(path) if len(path) > 20 else answer

    def _strangers(self) -> Iterator[tuple[str, Any]]:
        """Everything that this identity must not find: the other side's, and other parts'."""
        other = self.world.a if self.identity.side == "b" else self.world.b
        yield f"{other.name}'s", lambda trial, name: _value(other, name, "one")
        kinds = {PARAMETERS[name][0] for name in re.findall(r":(\w+)>", self.path)}
        apart = set.intersection(*(APART.get(kind, set()) for kind in kinds))
        for part in sorted(apart - self.identity.parts):
            if self.identity.side:
                yield f"part {part}", lambda trial, name, part=part: _value(self.side, name, part)

    def _status(self, act: Act | None, answer: Answer) -> list[str]:
        if act is None:
            expected = answer.status in {405, 501} or self._harmless(answer)
            return [] if expected else [self._say(f"{answer.status} where the method is not there")]
        refusal = act.door.refusal(self.identity.name)
        if refusal is None:
            good = answer.status in act.ok
            return [] if good else [self._say(f"{answer.status} {answer.code}, not {act.ok}")]
        status, code = refusal
        code = "" if self.method == "HEAD" and status != 302 else code
        if answer.status != status or (code and answer.code != code):
            return [self._say(f"{answer.status} {answer.code}, not {status} {code}")]
        return []

    def _harmless(self, answer: Answer) -> bool:
        """Django's class-based pages answer OPTIONS with a list of methods, or lead on."""
        leads_on = {301} if self.path != "/sign-in" else {302}  # who is signed in already
        return answer.status in leads_on or (
            self.method == "OPTIONS" and answer.status == 200 and not answer.body
        )

    def _capability(self, act: Act) -> list[str]:
        """Whoever holds it may; but of what it is not good for nobody learns anything."""
        broken = [
            self._ask(act, lambda t, n, bad=bad: bad) for bad in ("x", PARAMETERS["sealed"][1])
        ]
        if any(answer.status != 404 for answer in broken):
            return [self._say("a broken link is not 404")]
        return [] if broken[0].fixed == broken[1].fixed else [self._say("broken links differ")]

    def _same(self, answer: Answer, nothing: Answer, whose: str) -> list[str]:
        if not self.exactly and answer.status >= 400:
            return []
        if answer.fixed != nothing.fixed:
            told = f"{whose} {answer.status} {answer.code}, missing {nothing.status} {nothing.code}"
            return [self._say(f"a stranger's and none differ: {told}")]
        return [] if answer.status in {302, 401, 403, 404} else [self._say(f"{answer.status}")]

    def _leaks(self, answer: Answer, whose: str) -> list[str]:
        if answer.status >= 500 and self.path != "/readyz":
            return [self._say(f"{answer.status} for {whose}")]
        seen = self.canaries.found_in(answer.everything)
        return [self._say(f"shows {seen!r} for {whose}")] if seen else []

    def _say(self, problem: str) -> str:
        return f"{self.identity.name}: {self.method} {self.path}: {problem}"


def _value(side: Side, name: str, part: str) -> str:
    if name not in PARAMETERS:
        return "x"
    of = side.ids[PARAMETERS[name][0]]
    return of.get(part) or of.get("all") or next(iter(of.values()))


def _own(trial: _Trial, name: str) -> str:
    return _value(trial.side, name, trial.identity.own)


def _missing(trial: _Trial, name: str) -> str:
    return PARAMETERS[name][1] if name in PARAMETERS else "x"


# --- what stands in queries and bodies -----------------------------------------------------------


def probe_problems(world: World, everybody: Iterable[Identity]) -> list[str]:
    """A stranger's value in a query or body is answered like one that does not exist."""
    by_name = {identity.name: identity for identity in everybody}
    pairs = [(probe, by_name[name]) for probe in PROBES for name in probe.asked_by]
    return [problem for probe, identity in pairs for problem in _probed(world, probe, identity)]


def _probed(world: World, probe: Probe, identity: Identity) -> Iterator[str]:
    sides = (world.b, world.a) if identity.side == "b" else (world.a, world.b)
    canaries = forbidden(world, identity.side, set(identity.parts))
    nothing = _send(probe, identity, sides[0], probe.missing)
    where = f"{identity.name}: {probe.method} {probe.path} {probe.make('...')}"
    for stranger in probe.strangers(*sides):
        answer = _send(probe, identity, sides[0], stranger)
        if seen := canaries.found_in(answer.everything):
            yield f"{where} shows {seen!r}"
        if answer.fixed != nothing.fixed:
            yield f"{where}: a stranger's {answer.status} and none {nothing.status} differ"


def _send(probe: Probe, identity: Identity, side: Side, value: str) -> Answer:
    """The answer without the value: what was asked for may be repeated."""
    act = ROUTES[probe.path][probe.method]
    changed = {probe.place: probe.make(value)}
    return ask(identity, probe.method, probe.path, act, side, **changed).without(value)
