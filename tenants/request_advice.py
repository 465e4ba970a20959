"""What to do about a refused request, by its code; docs/errors.md says the same."""

ADVICE = {
    "INVALID_REQUEST": "mend the request; details.field names the field",
    "DRILL_NOT_FOUND": "at redeem the token is spent: mint a new one for another drill",
    "ENDPOINT_URL_REFUSED": "message says what the URL must be",
    "INVALID_API_KEY": "the key is missing, mistyped or unknown",
    "API_KEY_REVOKED": "the key was revoked or has expired: use another",
    "INVALID_TOKEN": "not a token of ours",
    "TOKEN_EXPIRED": "older than five minutes: mint a new one",
    "TOKEN_ALREADY_USED": "one token is one call: mint a new one",
    "INVALID_TICKET": "the call's page was kept for more than a day",
    "IP_NOT_ALLOWED": "the address is not on the account's or the key's list",
    "TENANT_INACTIVE": "the account is suspended; the token is not spent",
    "TENANT_QUOTA_EXCEEDED": "this month's call minutes are used up",
    "INSUFFICIENT_SCOPE": "the key lacks the scope, or is limited to other agencies",
    "TEST_KEY_REQUIRED": "a live key starts no test calls: use ath_test_…",
    "CALL_NOT_FOUND": "unknown, another account's, erased, or (detail) not scored yet",
    "CHECK_NOT_FOUND": "the scorecard has no such check",
    "EVENT_NOT_FOUND": "unknown, another account's, or of the other mode",
    "REP_NOT_FOUND": "nothing is kept of a rep of that name, or nothing that this key reaches",
    "ERASURE_NOT_FOUND": "unknown, or another account's or mode's",
    "ENDPOINT_NOT_FOUND": "unknown, or another account's",
    "KEY_NOT_FOUND": "unknown, another account's, or not for this key to see",
    "NOT_FOUND": "nothing answers at this address (no slash at the end)",
    "METHOD_NOT_ALLOWED": "see the header Allow",
    "REQUEST_TIMEOUT": "the request took over 30 s to arrive; send it again",
    "CHANGED_MEANWHILE": "look at what is there now, then change it again",
    "ALREADY_DISPUTED": "the rep disagreed with this check already",
    "CALL_NOT_SCORED": "there is no scorecard to disagree with",
    "CALL_OVER": "consent comes before the call, not after it",
    "EVENT_EXPIRED": "its body was deleted with the account's retention",
    "TOO_MANY_ENDPOINTS": "there are 16: remove one first",
    "SECRET_ROTATING": "the previous secret is still in use: wait, or end it at once",
    "KEY_NOT_ACTIVE": "it ended, or will when its grace is over: make a new one",
    "TOO_MANY_KEYS": "five keys of a mode are active: revoke one first",
    "IDEMPOTENCY_KEY_IN_USE": (
        "the same request is being carried out: send it again after Retry-After"
    ),
    "IDEMPOTENCY_KEY_REUSED": "another body came under that key: take a new one",
    "PAYLOAD_TOO_LARGE": "at most 1 MiB",
    "URI_TOO_LONG": "at most 8 KiB of address",
    "UNSUPPORTED_MEDIA_TYPE": "send application/json, not compressed",
    "RATE_LIMITED": "wait for Retry-After seconds; nothing was done or spent, see rate limits",
    "HEADERS_TOO_LARGE": "at most 100 header fields, 8 KiB each, 16 KiB together",
    "INTERNAL_ERROR": "ours; tell us the requestId",
    "SERVICE_UNAVAILABLE": (
        "wait for Retry-After seconds and try again; a session token is not spent"
    ),
}
# Where the dashboard shows what a refusal is about: code -> (name of the page, what it is called).
PLACES = {
    "API_KEY_REVOKED": ("key-pages", "API keys"),
    "IP_NOT_ALLOWED": ("key-pages", "API keys"),
    "INSUFFICIENT_SCOPE": ("key-pages", "API keys"),
    "TEST_KEY_REQUIRED": ("key-pages", "API keys"),
    "TOO_MANY_KEYS": ("key-pages", "API keys"),
    "KEY_NOT_ACTIVE": ("key-pages", "API keys"),
    "TENANT_QUOTA_EXCEEDED": ("usage-page", "usage"),
    "TOO_MANY_ENDPOINTS": ("endpoint-pages", "webhooks"),
    "SECRET_ROTATING": ("endpoint-pages", "webhooks"),
    "ENDPOINT_URL_REFUSED": ("endpoint-pages", "webhooks"),
    "EVENT_EXPIRED": ("endpoint-pages", "webhooks"),
}
NO_SUCH_ADDRESS = (
    "Nothing answers there. Compare the address with the reference: no slash at the end."
)
ORIGIN = (
    "The web site is not on your list. Add it under Embedding, or start calls from a listed one."
)
