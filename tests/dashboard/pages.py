"""The dashboard's pages: a new page adds its line here, and is crawled (`test_pages.py`)."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.dashboard.bed import DEVELOPER, LIMITED, MANAGER, OWNER, ROLES, Side
from tests.dashboard.developers import developers_seed
from tests.dashboard.people import seed_team
from tests.dashboard.reps import assignments_seed, rep_of

EVERYBODY = frozenset(ROLES)
DEVELOPERS = frozenset({OWNER, DEVELOPER})
COACHES = frozenset({OWNER, MANAGER, LIMITED})
ADMINISTRATORS = frozenset({OWNER, MANAGER})
OWNERS = frozenset({OWNER})


@dataclass(frozen=True)
class Page:
    """One page. What it shows is seeded by `bed_make`, and by `seed` for the full tenant.

    `states` are the tenants that it is opened in, as the owner: "full", "empty". `shows` is a CSS
    selector of what must be there in the full one. `mode` is "live" or "test" (the sandbox).
    """

    name: str
    address: Callable[[Side], str]
    roles: frozenset[str] = EVERYBODY
    states: tuple[str, ...] = ("full", "empty")
    shows: str = "h1"
    mode: str = "live"
    seed: Callable[[Side], None] | None = None


PAGES = [
    Page("home", lambda side: "/", shows=".chart .u-over"),
    Page("home-90-days", lambda side: "/?days=90&agency=north", states=("full",), shows=".weak"),
    Page("calls", lambda side: "/calls", shows="tbody tr"),
    Page("calls-sandbox", lambda side: "/calls", states=("full",), mode="test", shows="tbody tr"),
    Page("call", lambda side: f"/calls/{side.calls[0].public_id}", states=("full",), shows="audio"),
    Page("reps", lambda side: "/reps", shows="tbody tr"),
    Page("reps-none-found", lambda side: "/reps?q=nobody", states=("full",), shows=".empty"),
    Page("rep", lambda side: f"/reps/{rep_of(side)}", states=("full",), shows=".spark"),
    Page("rep-import", lambda side: "/reps/import", roles=COACHES, states=("full",)),
    Page("agencies", lambda side: "/agencies", shows="tbody tr"),
    Page("agency", lambda side: f"/agencies/{side.agencies['north'].public_id}", states=("full",)),
    Page("assignments", lambda side: "/assignments", shows="tbody tr", seed=assignments_seed),
    Page(
        "assignment",
        lambda side: f"/assignments/{side.things['assignment']}",
        states=("full",),
        shows="tbody tr",
    ),
    Page("practice", lambda side: "/settings/practice", roles=frozenset({OWNER, MANAGER})),
    Page("assignment-add", lambda side: "/assignments/add", roles=COACHES),
    Page("quickstart", lambda side: "/developers/quickstart", roles=DEVELOPERS, shows=".ticks"),
    Page("usage", lambda side: "/developers/usage", roles=DEVELOPERS, shows=".bars"),
    Page("embedding", lambda side: "/developers/embedding", roles=DEVELOPERS, shows=".log"),
    Page(
        "keys",
        lambda side: "/developers/keys",
        roles=DEVELOPERS,
        shows=".rows",
        seed=developers_seed,
    ),
    Page(
        "key",
        lambda side: f"/developers/keys/{side.things['key'].public_id}",
        roles=DEVELOPERS,
        states=("full",),
    ),
    Page("requests", lambda side: "/developers/requests", roles=DEVELOPERS, shows="tbody tr"),
    Page(
        "request",
        lambda side: f"/developers/requests/{side.things['request']}",
        roles=DEVELOPERS,
        states=("full",),
        shows=".notice",
    ),
    Page("webhooks", lambda side: "/webhooks", roles=DEVELOPERS, shows=".endpoints"),
    Page(
        "endpoint",
        lambda side: f"/webhooks/{side.things['endpoint'].public_id}",
        roles=DEVELOPERS,
        states=("full",),
        shows=".log",
    ),
    Page("deliveries", lambda side: "/webhooks/deliveries", roles=DEVELOPERS, shows=".log"),
    Page(
        "delivery",
        lambda side: (
            f"/webhooks/{side.things['endpoint'].public_id}/{side.things['event'].public_id}"
        ),
        roles=DEVELOPERS,
        states=("full",),
        shows=".attempt",
    ),
    Page("webhooks", lambda side: "/webhooks", roles=DEVELOPERS),
    Page("account", lambda side: "/account", states=("full",)),
    Page(
        *("team", lambda side: "/settings/team"),
        roles=ADMINISTRATORS,
        shows="tbody tr",
        seed=seed_team,
    ),
    Page(
        *("member", lambda side: f"/settings/team/member?email={side.users[MANAGER].email}"),
        roles=ADMINISTRATORS,
        states=("full",),
    ),
    Page(
        *("agency-settings", lambda side: "/settings/agencies"),
        roles=ADMINISTRATORS,
        shows="tbody tr",
    ),
    Page("branding", lambda side: "/settings/branding", roles=ADMINISTRATORS),
    Page("retention", lambda side: "/settings/retention", roles=ADMINISTRATORS),
    Page("allowance", lambda side: "/settings/allowance", roles=ADMINISTRATORS),
    Page("models", lambda side: "/settings/models", roles=ADMINISTRATORS, shows="tbody tr"),
    Page("security", lambda side: "/settings/security", roles=ADMINISTRATORS),
    Page("provider", lambda side: "/settings/security/provider", roles=OWNERS),
    Page(
        *("provider-saml", lambda side: "/settings/security/provider?kind=saml"),
        roles=OWNERS,
        states=("empty",),
    ),
    Page("audit", lambda side: "/settings/audit", roles=ADMINISTRATORS, shows="tbody tr"),
]
