"""Which engine hears, phrases or speaks: its address, model and key, whoever chose it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from webhooks.addresses import url_check

KINDS = ("chat", "transcription", "speech")
ANY_VOICE = "*"


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """One OpenAI-compatible engine. `url` is its base, such as `https://host/v1`.

    `voices` maps a persona's voice to the engine's own name for one, `*` all others. `owner` tells
    apart whose it is where sound is kept. `checked`: only public addresses are connected to.
    """

    kind: str
    url: str
    model: str
    key: str = field(default="", repr=False)
    voices: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    checked: bool = True

    def voice(self, name: str) -> str:
        return self.voices.get(name) or self.voices.get(ANY_VOICE) or name


def base_checked(url: str, *, local: Collection[str]) -> tuple[str, bool]:
    """A base that a tenant may use, and whether its addresses are to be checked.

    `local` are bases that the operator lets tenants use though they are not on the public internet.
    Raises `webhooks.addresses.Refused` with a sentence for people.
    """
    base = url.strip().rstrip("/")
    if base in {allowed.rstrip("/") for allowed in local}:
        return base, False
    return url_check(base).url.rstrip("/"), True
