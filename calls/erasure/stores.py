"""Where data of calls and reps lies. A test holds this against the database's own catalogue.

Rows that hang off a call go with it: Django's cascade finds them, and a table that it does not know
of makes PostgreSQL refuse the deletion of the call.
"""

from collections import Counter
from collections.abc import Mapping

# Tables with rows of one call or one rep -> their names in a receipt.
ERASED: Mapping[str, str] = {
    "calls_assignee": "assignments",
    "calls_call": "calls",
    "calls_callledger": "callLedgers",
    "calls_comment": "comments",
    "calls_dispute": "disputes",
    "calls_heardchunk": "heardChunks",
    "calls_recording": "recordings",
    "calls_recordingpart": "recordingParts",
    "calls_repstanding": "repStandings",
    "calls_rescoring": "rescorings",
    "calls_sandboxcall": "sandboxCalls",
    "calls_sessiontoken": "sessionTokens",
    "calls_transcriptline": "transcriptLines",
    "calls_transcriptwords": "transcriptWords",
    "calls_turn": "turns",
    "scoring_override": "overrides",
    "scoring_scorecard": "scorecards",
    "scoring_verdict": "verdicts",
    "tenants_rep": "reps",
    "webhooks_attempt": "webhookAttempts",
    "webhooks_delivery": "webhookDeliveries",
    "webhooks_event": "webhookEvents",
}
FILES = "files"  # in the storage

# Tables that keep nothing of a rep, and why that is so.
KEPT: Mapping[str, str] = {
    "account_emailaddress": "people who sign in to the dashboard",
    "account_emailconfirmation": "people who sign in to the dashboard",
    "auth_group": "people who sign in to the dashboard",
    "auth_group_permissions": "people who sign in to the dashboard",
    "auth_permission": "names of models",
    "axes_accessattempt": "people who sign in to the dashboard",
    "axes_accessattemptexpiration": "people who sign in to the dashboard",
    "axes_accessfailurelog": "people who sign in to the dashboard",
    "axes_accesslog": "people who sign in to the dashboard",
    "calls_assignment": "what is to be practised; it goes with the last of its people",
    "calls_drill": "fictitious personas",
    "calls_erasedcall": "minutes for the usage, without a name; names of files until they are gone",
    "calls_erasure": "the receipt; its subject is sealed, and emptied at the end",
    "calls_liveslot": "names a call by an internal id, until it ends or is erased",
    "calls_liveworker": "processes",
    "calls_practicecheck": "sums of a day, counted again without the calls that go",
    "calls_practiceday": "sums of a day, counted again without the calls that go",
    "calls_practicetotal": "sums of a day, counted again without the calls that go",
    "calls_provider": "addresses and sealed keys of a tenant's engines",
    "calls_retentionround": "due times",
    "django_admin_log": "people who sign in to the dashboard",
    "django_content_type": "names of models",
    "django_migrations": "names of migrations",
    "django_session": "people who sign in to the dashboard",
    "mfa_authenticator": "people who sign in to the dashboard",
    "scoring_rubric": "questions that are asked of every call",
    "socialaccount_socialaccount": "people who sign in to the dashboard",
    "socialaccount_socialapp": "empty: the providers stand in tenants_singlesignon",
    "socialaccount_socialtoken": "people who sign in to the dashboard",
    "tenants_agency": "a group of reps, no person",
    "tenants_apikey": "digests",
    "tenants_apirequest": "which routes were asked and how it ended, for 7 days; names no rep",
    "tenants_auditevent": "who did what, by ids that name no rep",
    "tenants_branding": "a colour and a logo",
    "tenants_consenttext": "what every rep is asked",
    "tenants_idempotentanswer": "answers about webhook endpoints, sealed, for a day",
    "tenants_invitation": "people who sign in to the dashboard",
    "tenants_membership": "people who sign in to the dashboard",
    "tenants_singlesignon": "how a company signs its people in",
    "tenants_tenant": "the account",
    "tenants_user": "people who sign in to the dashboard",
    "tenants_user_groups": "people who sign in to the dashboard",
    "tenants_user_user_permissions": "people who sign in to the dashboard",
    "usersessions_usersession": "people who sign in to the dashboard",
    "webhooks_endpoint": "addresses of the integrator",
    "webhooks_endpointnotice": "that a mail about an endpoint was sent",
}


def by_store(deleted: Mapping[str, int]) -> Counter[str]:
    """What a deletion removed, by the names of a receipt. `deleted` is by table."""
    return Counter({ERASED.get(table, table): n for table, n in deleted.items() if n})
