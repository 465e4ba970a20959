"""REST for erasures and retention. `DELETE /calls/{callId}` stands with its call in `calls.api`."""

from rest_framework.request import Request
from rest_framework.response import Response

from calls.erasure.receipts import receipt_json
from calls.erasure.requests import erasure_get, rep_erase
from calls.erasure.retention import changes_parse, retention_of, retention_set
from calls.models import Erasure
from tenants.api import ApiView, json_object, text_field
from tenants.auth import Caller, caller_of
from tenants.errors import InsufficientScope
from tenants.models import ApiKey

ERASE = "data:erase"
RETENTION = "data:retention"


class RepEraseApi(ApiView):
    """DELETE /reps/{externalUserId}"""

    required_scope = ERASE

    def delete(self, request: Request, external_user_id: str) -> Response:
        name = text_field({"externalUserId": external_user_id}, "externalUserId")
        return accepted(rep_erase(caller=caller_of(request), external_user_id=name))


class ErasureApi(ApiView):
    """GET /erasures/{erasureId}"""

    required_scope = ERASE

    def get(self, request: Request, erasure_id: str) -> Response:
        erasure = erasure_get(caller=caller_of(request), public_id=erasure_id)
        return Response(receipt_json(erasure))


class RetentionApi(ApiView):
    """GET and PATCH /retention: the whole tenant's, so a key limited to agencies is refused."""

    required_scope = RETENTION

    def get(self, request: Request) -> Response:
        return Response(retention_of(tenant_id=_whole(request).tenant.pk).json())

    def patch(self, request: Request) -> Response:
        caller = _whole(request)
        if caller.mode != ApiKey.Mode.LIVE:
            raise InsufficientScope("A test key may not change how long live data is kept.")
        retention = retention_set(
            tenant_id=caller.tenant.pk,
            changes=changes_parse(json_object(request)),
            actor=caller.actor,
        )
        return Response(retention.json())


def accepted(erasure: Erasure) -> Response:
    """202 with the receipt as far as it is, and where it can be asked for again."""
    headers = {"Location": f"/api/external/v1/erasures/{erasure.public_id}"}
    return Response(receipt_json(erasure), status=202, headers=headers)


def _whole(request: Request) -> Caller:
    caller = caller_of(request)
    if caller.agencies:
        raise InsufficientScope("This API key is limited to agencies.")
    return caller
