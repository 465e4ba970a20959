"""What goes out and what came of it: plain values between the database and the network."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Parcel:
    """All that one attempt needs. Nothing of it that is private shows in a repr.

    `pretended` stands for an attempt of a test that is not sent.
    """

    event_id: str  # wh_...
    url: str
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    pretended: "Outcome | None" = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt, as it is written down. `error` is a code, empty for a 2xx."""

    started_at: datetime
    total_ms: int
    error: str = ""
    status: int | None = None
    retry_after: float | None = None  # seconds
    response_body: str = field(default="", repr=False)
    lookup_ms: int | None = None
    connect_ms: int | None = None
    answer_ms: int | None = None
    request_headers: dict[str, str] = field(default_factory=dict, repr=False)
