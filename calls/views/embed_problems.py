"""Why the rep's page does not open where an integrator put it, in words for its developers.

A browser shows nothing at all of a page that may not be framed: whoever builds the page around it
would look at a blank box. So where we know before it does, another page is answered, that may stand
in every frame, since it holds no script, nothing to press and nothing of the account's.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from calls.models import Call
from calls.services.embedding import Site

_FRAMES = ("iframe", "frame", "embed", "object")  # of Sec-Fetch-Dest
_WHERE = "Developers › Embedding"


@dataclass(frozen=True, slots=True)
class EmbedProblem:
    """`told` is for developers. `anywhere`: whoever frames the page may see it."""

    status: int
    told: str
    anywhere: bool = False


def problem_of_place(request: HttpRequest, site: Site) -> EmbedProblem | None:
    """Whether it may stand where it is asked for, as far as the browser says where that is."""
    framed = request.headers.get("Sec-Fetch-Dest", "") in _FRAMES
    if site.unknown:
        told = f"`site` in the address is no site key of an active account. Copy it from {_WHERE}."
        return EmbedProblem(403, told, anywhere=framed)
    if not framed:
        return None
    parent = _origin(request.headers.get("Referer", ""))
    if not site.origins:
        return EmbedProblem(403, _nobody(site, parent), anywhere=True)
    if parent in ("", _origin(settings.PUBLIC_URL), *site.origins):
        return None
    told = f"{parent} is not among the web sites that may frame this page. {_add(site, parent)}"
    return EmbedProblem(403, told, anywhere=True)


def problem_of_address(request: HttpRequest, site: Site, *, known: bool) -> EmbedProblem | None:
    """Whether a call can come of the parameters. `known`: there is such a drill."""
    drill = request.GET.get("drill", "").strip()
    difficulty = request.GET.get("difficulty", "")
    if not drill:
        return EmbedProblem(400, "`drill` is missing in the address: the key of a drill.")
    if difficulty and difficulty not in Call.Difficulty.values:
        levels = ", ".join(Call.Difficulty.values)
        return EmbedProblem(400, f"`difficulty` in the address must be one of {levels}.")
    if site.tenant_id is not None and not known:
        return EmbedProblem(404, "`drill` in the address is no drill of this account.")
    return None


def _nobody(site: Site, parent: str) -> str:
    if site.tenant_id is None:
        return f"The address carries no `site`. Copy the site key from {_WHERE}."
    return f"No web site may frame this page yet. {_add(site, parent)}"


def _add(site: Site, parent: str) -> str:
    if site.tenant_id is None:
        return f"Give the address your `site` key, from {_WHERE}."
    return f"Add {parent or 'yours'} under {_WHERE}."


def _origin(address: str) -> str:
    """`https://host:port` of an address; empty where it has none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""
