"""Sessions and calls as the API's document describes them."""

from collections.abc import Mapping
from typing import Any

from calls import api
from calls.erasure.openapi import ACCEPTED, DATA
from calls.history.detail import CallNotFound
from calls.history.filters import DEFAULT_LIMIT, LONGEST_CURSOR, MAX_LIMIT, SOURCES
from calls.history.outputs import CONSENT_SOURCES
from calls.models import Call, Turn
from calls.reps.editing import LONGEST, LONGEST_EMAIL
from calls.services.session_jwt import InvalidToken, TokenExpired
from calls.services.tokens import DrillNotFound, TokenAlreadyUsed
from scoring.openapi import SCORE_EXAMPLE
from tenants.api import ApiView
from tenants.describing import (
    Answer,
    Credential,
    Operation,
    Schema,
    Tag,
    array,
    boolean,
    in_path,
    integer,
    known_words,
    moment,
    name_text,
    nullable,
    number,
    obj,
    open_ref,
    query,
    ref,
    text,
)
from tenants.errors import (
    ServiceUnavailable,
    TenantInactive,
    TenantQuotaExceeded,
)

SESSIONS = Tag(
    "Sessions",
    "Your backend mints a session token with its API key; the browser SDK redeems it and starts"
    " the call. A token is good for five minutes and for one call.",
)
CALLS = Tag(
    "Calls",
    "Calls that are over, with their transcripts and scores. A call can be read once it is scored;"
    " `status` says how far the others are.",
)

CALL_ID = "athos_call_GZ1DjOkZv_VEPoE-CJ8mp"
_CALL_ID = text("Names a call.", pattern=r"^athos_call_[A-Za-z0-9_-]{21}$")
_PROGRESS = [stage for stage in Call.Stage.values if stage != Call.Stage.CREATED]

_ROW: dict[str, Schema] = {
    "id": _CALL_ID,
    "source": text(f"Where the call came from: `{'` or `'.join(SOURCES)}`. More may come."),
    "externalUserId": text("Your name of the rep."),
    "externalAgencyId": nullable(text("Your name of the agency.")),
    "drillKey": text("The drill that was practised."),
    "startedAt": moment("When both sides were connected."),
    "endedAt": moment("When the call ended."),
    "durationSec": integer("Whole seconds between the two.", minimum=0),
    "scoredAt": moment("When the score was there."),
}


def _line(description: str) -> Schema:
    """A text that people read: one line, not blank."""
    plain = r"[^\x00-\x1f\x7f-\x9f]*"
    return text(
        description,
        minLength=1,
        maxLength=LONGEST,
        pattern=rf"^{plain}[^\s\x00-\x1f\x7f-\x9f]{plain}$",
    )


SHAPES: dict[str, Schema] = {
    "SessionTokenRequest": obj(
        "For whom a token is wanted. Names are trimmed.",
        {
            "externalUserId": name_text("Your name of the rep."),
            "externalAgencyId": nullable(
                name_text("Your name of the rep's agency: a label and a filter.")
            ),
            "rep": nullable(ref("RepTold")),
            "consent": nullable(ref("ConsentStated")),
        },
        optional=("externalAgencyId", "rep", "consent"),
    ),
    "RepTold": obj(
        "Who the rep is, for the people who look at the dashboard. It is in no token, and comes"
        " back nowhere in this API. What somebody wrote in the dashboard stays.",
        {
            "name": nullable(_line("What people call the rep.")),
            "email": nullable(
                text(
                    "Where reminders of assigned drills go.",
                    format="email",
                    maxLength=LONGEST_EMAIL,
                )
            ),
            "team": nullable(_line("A group within the agency.")),
        },
        optional=("name", "email", "team"),
    ),
    "ConsentStated": obj(
        "That the rep agreed to be recorded, transcribed and scored, on a page of yours. Our own"
        " page asks by itself.",
        {
            "version": name_text("Your name of the text that the rep read.", longest=100),
            "at": nullable(moment("When the rep agreed; now, if left out. Not in the future.")),
        },
        optional=("at",),
    ),
    "ConsentSource": known_words(
        "On our page, or on yours, as you stated when you minted the token.",
        CONSENT_SOURCES.values(),
    ),
    "Consent": obj(
        "What the rep agreed to, and when.",
        {
            "source": ref("ConsentSource"),
            "version": text("Names the text: on our page `athos-1` or the number of your own."),
            "at": moment("When."),
        },
    ),
    "SessionToken": obj(
        "A token for one call. Hand it to the browser and keep it nowhere.",
        {
            "token": text("Opaque to you."),
            "expiresAt": moment("Redeem it before; five minutes from now."),
        },
    ),
    "StartCallRequest": obj(
        "Which call is wanted.",
        {
            "drillKey": name_text("The drill.", longest=api.LONGEST_DRILL_KEY),
            "filters": nullable(ref("PersonaFilters")),
            "difficulty": nullable(ref("Difficulty")),
        },
        optional=("filters", "difficulty"),
    ),
    "PersonaFilters": obj(
        "Narrows the persona. A filter that matches nothing is dropped.",
        {
            "state": nullable(text("A US state, such as `OH`.")),
            "category": nullable(text("A kind of customer.")),
        },
        optional=("state", "category"),
    ),
    "Difficulty": known_words(
        "How hard the persona makes it: cooperative, as usual, tougher.",
        Call.Difficulty.values,
    ),
    "StartedCall": obj(
        "A call that waits for its rep.",
        {
            "connectionTicket": text("For the SDK; opaque."),
            "connectionUrl": text("For the SDK; opaque."),
            "sessionId": text("For your client logs.", pattern=r"^ext_[A-Za-z0-9_-]{21}$"),
            "callId": _CALL_ID,
            "persona": ref("Persona"),
        },
    ),
    "Persona": obj("Whom the rep talks with.", {"name": text("A fictitious name.")}),
    "CallRow": obj("A scored call.", _ROW),
    "CallPage": obj(
        "A page of calls.",
        {
            "data": array("The calls.", ref("CallRow")),
            "nextCursor": nullable(text("For the next page; `null` on the last.")),
        },
    ),
    "Turn": obj(
        "What one side said. More keys may come.",
        {
            "role": text(
                "`assistant` is the persona, `user` the rep.", enum=list(Turn.Role.values)
            ),
            "content": text("The words; of the persona only what was heard."),
            "startTime": number("Seconds of the recording.", minimum=0),
            "endTime": number("Seconds of the recording.", minimum=0),
            "number": integer("What `evidence.turn` of a criterion refers to.", minimum=0),
            "interrupted": boolean("Whether the other side cut in."),
        },
    ),
    "Call": obj(
        "A scored call with all that came of it.",
        _ROW
        | {
            "status": text("Always `scored`.", const=str(Call.Stage.SCORED)),
            "difficulty": ref("Difficulty"),
            "persona": ref("Persona"),
            "consent": nullable(ref("Consent")),
            "transcript": array(
                "Both sides, in order; empty once its days of retention are over.", ref("Turn")
            ),
            "score": ref("Score"),
            "audioUrl": nullable(
                text("Plays the recording, without a key; do not store it.", format="uri")
            ),
            "audioUrlExpiresAt": nullable(moment("About an hour from now.")),
            "waveform": {"type": "null", "description": "Always null."},
            "createdAt": moment("When the token was redeemed."),
            "updatedAt": moment("When anything of it last changed."),
        },
    ),
    "CallStage": known_words("`scored` and `failed` are final.", _PROGRESS),
    "FailureReason": known_words(
        "Why a call has no score.", (failure.upper() for failure in Call.Failure.values)
    ),
    "CallStatus": obj(
        "How far a call is.",
        {
            "status": ref("CallStage"),
            "reason": open_ref("FailureReason", "Why a failed call has no score."),
        },
        optional=("reason",),
    ),
}

ROW_EXAMPLE = {
    "id": CALL_ID,
    "source": "roleplay",
    "externalUserId": "rep_8842",
    "externalAgencyId": "agency_chicago",
    "drillKey": "ma-full-sale",
    "startedAt": "2026-06-05T14:39:40.295Z",
    "endedAt": "2026-06-05T14:40:17.536Z",
    "durationSec": 37,
    "scoredAt": "2026-06-05T14:40:54.005Z",
}
CALL_EXAMPLE: dict[str, Any] = {
    **ROW_EXAMPLE,
    "status": "scored",
    "difficulty": "Advanced",
    "persona": {"name": "Dolores Whitfield"},
    "consent": {"source": "repPage", "version": "athos-1", "at": "2026-06-05T14:39:38.201Z"},
    "transcript": [
        {
            "role": "assistant",
            "content": "Hello? Who is this?",
            "startTime": 0.21,
            "endTime": 1.62,
            "number": 0,
            "interrupted": False,
        },
        {
            "role": "user",
            "content": "Hi Dolores, this is Sam with Harbor Benefits.",
            "startTime": 2.4,
            "endTime": 5.13,
            "number": 1,
            "interrupted": False,
        },
    ],
    "score": SCORE_EXAMPLE,
    "audioUrl": "https://app.example.com/media/v1/recordings/gAAAAABo…",
    "audioUrlExpiresAt": "2026-06-05T15:42:00.000Z",
    "waveform": None,
    "createdAt": "2026-06-05T14:39:38.120Z",
    "updatedAt": "2026-06-05T14:40:54.005Z",
}

_PATH_CALL = in_path("callId", _CALL_ID, example=CALL_ID)

MINT = Operation(
    id="mintSessionToken",
    tag=SESSIONS,
    summary="Mint a session token",
    description=(
        "Your backend asks for a token when a rep is about to practise, and hands it to the"
        " browser. One token is one call; there is no refresh. The account's allowance of call"
        " minutes is checked here."
    ),
    body=ref("SessionTokenRequest"),
    body_examples={
        "A rep of an agency": {
            "externalUserId": "rep_8842",
            "externalAgencyId": "agency_chicago",
        },
        "A rep": {"externalUserId": "rep_8842"},
        "A rep with a name": {
            "externalUserId": "rep_8842",
            "externalAgencyId": "agency_chicago",
            "rep": {"name": "Sam Carter", "email": "sam@example.com", "team": "Blue"},
        },
        "A rep who agreed on your page": {
            "externalUserId": "rep_8842",
            "consent": {"version": "2026-05", "at": "2026-06-05T14:38:51.000Z"},
        },
    },
    answers=(
        Answer(
            description="The token.",
            schema=ref("SessionToken"),
            examples={
                "A token": {
                    "token": "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJqdGkiOiI0ZjFj….q2X9…",
                    "expiresAt": "2026-06-05T14:44:00.000Z",
                }
            },
        ),
    ),
    errors=(TenantQuotaExceeded,),
)

START = Operation(
    id="startCall",
    tag=SESSIONS,
    summary="Redeem a session token and start a call",
    description=(
        "Called by the browser SDK; you need it only to build a client of your own. It is the only"
        " address that other web sites may call (CORS): any origin, or those that the account"
        " lists.\n\n"
        "`INVALID_TOKEN`, `TOKEN_EXPIRED`, `INVALID_REQUEST`, `TENANT_INACTIVE`, `RATE_LIMITED`"
        " and `SERVICE_UNAVAILABLE` leave the token unspent: try the same one again."
        " `DRILL_NOT_FOUND` and `INTERNAL_ERROR` may have spent it: mint a new one."
    ),
    credential=Credential.SESSION_TOKEN,
    body=ref("StartCallRequest"),
    body_examples={
        "A full sale": {"drillKey": "ma-full-sale"},
        "All choices": {
            "drillKey": "ma-full-sale",
            "difficulty": "Elite",
            "filters": {"state": "OH", "category": "turning-65"},
        },
    },
    answers=(
        Answer(
            description="The call waits for its rep.",
            schema=ref("StartedCall"),
            examples={
                "A call": {
                    "connectionTicket": "eyJhbGciOi…",
                    "connectionUrl": "wss://app.example.com/live/v1",
                    "sessionId": "ext_Vx3kQpWz0aBcD1eF2gH3i",
                    "callId": CALL_ID,
                    "persona": {"name": "Dolores Whitfield"},
                }
            },
            headers={
                "Access-Control-Allow-Origin": text("The web sites that may read the answer."),
                "Access-Control-Expose-Headers": text("The headers that they may read."),
            },
        ),
    ),
    errors=(
        DrillNotFound,
        InvalidToken,
        TokenExpired,
        TokenAlreadyUsed,
        TenantInactive,
        ServiceUnavailable,
    ),
)

_WHEN = "ISO 8601; without a zone UTC is meant, a date alone is the whole day."


def _time(description: str) -> Schema:
    return text(description, format="date-time")


LIST = Operation(
    id="listCalls",
    tag=CALLS,
    summary="List scored calls",
    description=(
        "Scored calls, the newest `endedAt` first, page by page. Paging shows what was scored when"
        " the first page was asked for: no row comes twice and none is left out.\n\n"
        "`from` is required unless `scoredFrom` is given. With `scoredFrom` the list goes by"
        " `scoredAt`, the oldest first: go on with the last row's `scoredAt` and you miss nothing,"
        " however late a call was scored."
    ),
    parameters=(
        query("from", _time(f"`endedAt` from then on, inclusive. {_WHEN}"), example="2026-06-01"),
        query("to", _time(f"`endedAt` until then, inclusive. {_WHEN}")),
        query("scoredFrom", _time(f"`scoredAt` from then on, inclusive. {_WHEN}")),
        query("source", text("Where the calls came from.", enum=list(SOURCES))),
        query("externalUserId", name_text("Calls of this rep.")),
        query("externalAgencyId", name_text("Calls of this agency.")),
        query(
            "limit",
            integer("Rows of a page.", minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT),
        ),
        query(
            "cursor",
            text(
                "`nextCursor` of the page before. It goes with the very same filters.",
                maxLength=LONGEST_CURSOR,
            ),
        ),
    ),
    answers=(
        Answer(
            description="A page.",
            schema=ref("CallPage"),
            examples={"The last page": {"data": [ROW_EXAMPLE], "nextCursor": None}},
        ),
    ),
)

READ = Operation(
    id="getCall",
    tag=CALLS,
    summary="Read a call",
    description=(
        "A scored call with its transcript, score and recording. A call that is unknown, another"
        " account's or not scored yet is `404`: existence never leaks. `audioUrl` is good for an"
        " hour; ask again for a fresh one."
    ),
    parameters=(_PATH_CALL,),
    answers=(
        Answer(
            description="The call.", schema=ref("Call"), examples={"A scored call": CALL_EXAMPLE}
        ),
    ),
    errors=(CallNotFound,),
)

STATUS = Operation(
    id="getCallStatus",
    tag=CALLS,
    summary="Ask how far a call is",
    description="So that a missed webhook is never an endless wait.",
    parameters=(_PATH_CALL,),
    answers=(
        Answer(
            description="How far it is.",
            schema=ref("CallStatus"),
            examples={
                "Scored": {"status": "scored"},
                "Given up": {"status": "failed", "reason": "REP_NEVER_SPOKE"},
            },
        ),
    ),
    errors=(CallNotFound,),
)

ERASE = Operation(
    id="eraseCall",
    tag=DATA,
    summary="Erase a call",
    description=(
        "Deletes the call at whatever stage, with transcript, score, recording and webhook bodies."
        " It cannot be undone."
    ),
    parameters=(_PATH_CALL,),
    answers=(ACCEPTED,),
    errors=(CallNotFound,),
)

OPERATIONS: Mapping[tuple[type[ApiView], str], Operation] = {
    (api.SessionMintApi, "POST"): MINT,
    (api.SessionRedeemApi, "POST"): START,
    (api.CallListApi, "GET"): LIST,
    (api.CallDetailApi, "GET"): READ,
    (api.CallDetailApi, "DELETE"): ERASE,
    (api.CallStatusApi, "GET"): STATUS,
}
