"""The whole loop with a client generated from the served document by openapi-python-client.

python python_client_loop.py <server> <API key>, with the generated `athos_client` on the path.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from athos_client import AuthenticatedClient
from athos_client.api.calls import get_call, get_call_status, list_calls
from athos_client.api.sandbox import create_sandbox_call
from athos_client.api.sessions import mint_session_token
from athos_client.api.webhooks import (
    create_webhook_endpoint,
    delete_webhook_endpoint,
    list_webhook_endpoints,
)
from athos_client.models import (
    CallStage,
    Difficulty,
    Error,
    ErrorCode,
    QuoteEvidence,
    SandboxCallRequest,
    SessionTokenRequest,
    WebhookEndpointRequest,
)

Answer = TypeVar("Answer")


def given(answer: Answer | Error | None) -> Answer:
    if answer is None or isinstance(answer, Error):
        raise SystemExit(f"refused: {answer and answer.error.code}")
    return answer


def scored(client: AuthenticatedClient, call_id: str) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        now = given(get_call_status.sync(call_id, client=client))
        if now.status == CallStage.SCORED:
            return
        if now.status == CallStage.FAILED:
            raise SystemExit(f"failed: {now.reason}")
        time.sleep(0.5)
    raise SystemExit("not scored in time")


def main(server: str, key: str) -> None:
    client = AuthenticatedClient(base_url=server, token=key)
    began = datetime.now(UTC) - timedelta(hours=1)
    token = given(
        mint_session_token.sync(client=client, body=SessionTokenRequest(external_user_id="rep_py"))
    )
    assert token.expires_at > datetime.now(UTC)

    wish = WebhookEndpointRequest(url="https://crm.example.com/hooks/python")
    endpoint = given(create_webhook_endpoint.sync(client=client, body=wish))
    assert endpoint.id in {e.id for e in given(list_webhook_endpoints.sync(client=client)).data}
    assert delete_webhook_endpoint.sync_detailed(endpoint.id, client=client).status_code == 204

    made = given(
        create_sandbox_call.sync(
            client=client,
            body=SandboxCallRequest(
                drill_key="ma-full-sale", external_user_id="rep_py", difficulty=Difficulty.ELITE
            ),
        )
    )
    scored(client, made.call_id)
    call = given(get_call.sync(made.call_id, client=client))
    page = given(list_calls.sync(client=client, from_=began, external_user_id="rep_py"))
    assert made.call_id in {row.id for row in page.data}

    missing = get_call.sync("athos_call_" + "x" * 21, client=client)
    assert isinstance(missing, Error)
    assert missing.error.code == ErrorCode.CALL_NOT_FOUND
    evidence = (each.evidence for each in call.score.criteria)
    said = {
        "callId": made.call_id,
        "overallScore": call.score.overall_score,
        "turns": len(call.transcript),
        "checks": len(call.score.criteria),
        "quote": next(each.quote for each in evidence if isinstance(each, QuoteEvidence)),
        "refused": str(missing.error.code),
    }
    print(json.dumps(said))


main(*sys.argv[1:])
