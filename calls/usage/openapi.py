"""Usage as the API's document describes it."""

from collections.abc import Mapping

from calls.usage import api
from calls.usage.counting import MOST_AGENCIES
from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Operation,
    Schema,
    Tag,
    array,
    integer,
    moment,
    nullable,
    number,
    obj,
    query,
    ref,
    text,
)

USAGE = Tag("Usage", "Call minutes of a calendar month (UTC) against the account's allowance.")

_TALLY: dict[str, Schema] = {
    "minutesUsed": number("All calls; this counts toward the allowance.", minimum=0),
    "billableMinutes": number("Of the calls that were scored.", minimum=0),
    "calls": integer("How many calls.", minimum=0),
    "scoredCalls": integer("How many of them were scored.", minimum=0),
}
_MONTH: dict[str, Schema] = {
    "month": text("Year and month.", pattern=r"^\d{4}-\d{2}$"),
    "from": moment("Its first moment."),
    "before": moment("The first moment after it."),
    "minutesAllowed": nullable(
        integer("The whole account's allowance; `null` where there is none to tell.", minimum=0)
    ),
}

SHAPES: dict[str, Schema] = {
    "Usage": obj(
        "What the calls of a month come to, the running ones included.",
        _MONTH
        | _TALLY
        | {
            "agencies": array(
                f"With `by=agency`: the {MOST_AGENCIES} with the most minutes.", ref("AgencyUsage")
            )
        },
        optional=("agencies",),
    ),
    "AgencyUsage": obj(
        "One agency's part.",
        {"externalAgencyId": nullable(text("As you name it; `null`: calls without one."))} | _TALLY,
    ),
}

_TALLY_EXAMPLE = {"minutesUsed": 412.5, "billableMinutes": 398.2, "calls": 71, "scoredCalls": 68}
_MONTH_EXAMPLE = {
    "month": "2026-06",
    "from": "2026-06-01T00:00:00.000Z",
    "before": "2026-07-01T00:00:00.000Z",
    "minutesAllowed": 5000,
    **_TALLY_EXAMPLE,
}

READ = Operation(
    id="getUsage",
    tag=USAGE,
    summary="Read a month's usage",
    description=(
        "A call belongs to the month in which it ends. One that could not be scored counts toward"
        " the allowance and is not billed. The key sees the usage of the calls that it may read."
    ),
    parameters=(
        query(
            "month",
            text("Which month; without it this one.", pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$"),
            example="2026-06",
        ),
        query("by", text("List the agencies too.", enum=["agency"])),
    ),
    answers=(
        Answer(
            description="The month.",
            schema=ref("Usage"),
            examples={
                "A month": _MONTH_EXAMPLE,
                "By agency": _MONTH_EXAMPLE
                | {"agencies": [{"externalAgencyId": "agency_chicago", **_TALLY_EXAMPLE}]},
            },
        ),
    ),
)

OPERATIONS: Mapping[tuple[type[ApiView], str], Operation] = {(api.UsageApi, "GET"): READ}
