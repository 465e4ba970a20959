"""Who comes to the door, and what a door does to whom."""

from dataclasses import dataclass, field

from tests.isolation.world import PARTS, World, token_of

EVERYTHING = frozenset(PARTS)


@dataclass(frozen=True)
class Identity:
    """Somebody who asks. `side` is the tenant whose rows they may see, `parts` which of them."""

    name: str
    side: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    session: str | None = None
    parts: frozenset[str] = EVERYTHING
    own: str = "one"  # the part whose call they ask for as their own
    agencies_only: bool = False


def identities(world: World) -> list[Identity]:
    a, b = world.a, world.b

    def key(name: str, text: str, side: str | None = None, **more: object) -> Identity:
        return Identity(name, side, {"Authorization": f"Bearer {text}"}, **more)  # type: ignore[arg-type]

    live = EVERYTHING - {"test"}
    return [
        Identity("nobody"),
        key("junk key", "ath_live_" + "x" * 49),
        key("revoked key", a.keys["revoked"]),
        key("expired key", a.keys["expired"]),
        key("suspended tenant's key", world.suspended_key),
        key("key without scopes", a.keys["bare"], "a", parts=live),
        key("live key of A", a.keys["live"], "a", parts=live),
        key("test key of A", a.keys["test"], "a", parts=frozenset({"test"}), own="test"),
        key(
            "limited key of A",
            a.keys["limited"],
            "a",
            parts=frozenset({"one"}),
            agencies_only=True,
        ),
        key("live key of B", b.keys["live"], "b", parts=live),
        key("session token of A", token_of(a), "a", parts=frozenset({"one"})),
        key("session token of B", token_of(b), "b", parts=frozenset({"one"})),
        Identity("ticket of A", "a", _ticket(a.ids["ticket"]["one"]), parts=frozenset({"one"})),
        Identity("ticket of B", "b", _ticket(b.ids["ticket"]["one"]), parts=frozenset({"one"})),
        Identity("manager of A", "a", session=world.sessions["a"], parts=live),
        Identity(
            "limited manager of A",
            "a",
            session=world.sessions["limited"],
            parts=frozenset({"one"}),
            agencies_only=True,
        ),
        Identity("manager of B", "b", session=world.sessions["b"], parts=live),
        Identity("manager of no tenant", session=world.sessions["loner"]),
    ]


def _ticket(text: str) -> dict[str, str]:
    return {"Authorization": f"Ticket {text}"}


# --- doors: who gets what ------------------------------------------------------------------------

Refusal = tuple[int, str]  # status, code or place of a redirect


@dataclass(frozen=True)
class Door:
    """What lets people in. `refused` says what each of the others gets; "*" is everybody else."""

    lets_in: frozenset[str]
    refused: dict[str, Refusal]

    def refusal(self, identity: str) -> Refusal | None:
        if identity in self.lets_in:
            return None
        return self.refused.get(identity, self.refused["*"])


_KEYS = {"live key of A", "test key of A", "limited key of A", "live key of B"}
ANYBODY_NAMES = frozenset(
    {
        *("nobody", "junk key", "revoked key", "expired key", "suspended tenant's key"),
        *("key without scopes", *_KEYS, "session token of A", "session token of B"),
        *("ticket of A", "ticket of B", "manager of A", "manager of B", "manager of no tenant"),
        "limited manager of A",
    }
)
ANYBODY = Door(ANYBODY_NAMES, {})
_BAD_KEYS = {
    "revoked key": (401, "API_KEY_REVOKED"),
    "expired key": (401, "API_KEY_REVOKED"),
    "suspended tenant's key": (403, "TENANT_INACTIVE"),
    "*": (401, "INVALID_API_KEY"),
}
ANY_KEY = Door(frozenset(_KEYS | {"key without scopes"}), _BAD_KEYS)
KEY = Door(frozenset(_KEYS), _BAD_KEYS | {"key without scopes": (403, "INSUFFICIENT_SCOPE")})
_NOT_ENOUGH = (403, "INSUFFICIENT_SCOPE")


def _without(door: Door, *names: str, refusal: Refusal = _NOT_ENOUGH) -> Door:
    return Door(door.lets_in - set(names), door.refused | dict.fromkeys(names, refusal))


WHOLE_KEY = _without(KEY, "limited key of A")  # what belongs to all agencies together
WHOLE_LIVE_KEY = _without(WHOLE_KEY, "test key of A")
TEST_KEY = _without(
    KEY,
    *("live key of A", "limited key of A", "live key of B"),
    refusal=(403, "TEST_KEY_REQUIRED"),
)
TOKEN = Door(frozenset({"session token of A", "session token of B"}), {"*": (401, "INVALID_TOKEN")})
TICKET = Door(frozenset({"ticket of A", "ticket of B"}), {"*": (401, "INVALID_TICKET")})
_SIGN_IN = {"*": (302, "/sign-in")}
MEMBER = Door(
    frozenset({"manager of A", "limited manager of A", "manager of B"}),
    _SIGN_IN | {"manager of no tenant": (403, "")},
)
WHOLE_MEMBER = _without(MEMBER, "limited manager of A", refusal=(403, ""))
SIGNED_IN = Door(MEMBER.lets_in | {"manager of no tenant"}, _SIGN_IN)
STAFF = Door(frozenset(), _SIGN_IN | dict.fromkeys(sorted(SIGNED_IN.lets_in), (404, "")))
