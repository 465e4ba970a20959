"""How far a tenant's integration is: the first key, call and webhook. Five short reads."""

import uuid
from dataclasses import dataclass

from calls.models import Call
from tenants.isolation import tenant_scope
from tenants.models import ApiKey
from webhooks.models import Delivery

DELIVERIES = 200  # the newest of a mode, among which one that arrived is looked for


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What was done at least once; `call` is the newest sandbox call, "" for none."""

    test_key: bool = False
    test_key_used: bool = False
    call: str = ""
    scored: bool = False
    webhook: bool = False  # one arrived, of the sandbox's or of live calls
    live_key_used: bool = False  # or was, by a key that is gone: there is a live call
    live_call: bool = False

    @property
    def sandbox_done(self) -> bool:
        return self.test_key_used and self.scored and self.webhook

    @property
    def done(self) -> bool:
        return self.sandbox_done and self.live_key_used and self.live_call


def first_steps(*, tenant_id: uuid.UUID) -> FirstSteps:
    """Never looks at more rows than it needs, however many calls there are."""
    with tenant_scope(tenant_id):
        keys = ApiKey.objects.for_tenant(tenant_id).values_list("mode", "last_used_at")
        modes = {(mode, used is not None) for mode, used in keys}
        calls = Call.objects.for_tenant(tenant_id)
        # what the demo's month is made of is no step of anybody's
        tried = calls.filter(mode=ApiKey.Mode.TEST).exclude(sandbox__happened_at__isnull=False)
        newest = tried.order_by("-created_at", "-id").values_list("public_id", flat=True).first()
        live_call = calls.filter(mode=ApiKey.Mode.LIVE, stage=Call.Stage.SCORED).exists()
        return FirstSteps(
            test_key=any(mode == ApiKey.Mode.TEST for mode, _ in modes),
            test_key_used=(ApiKey.Mode.TEST, True) in modes,
            call=newest or "",
            scored=tried.filter(stage=Call.Stage.SCORED).exists(),
            webhook=any(_arrived(tenant_id, mode) for mode in ApiKey.Mode),
            live_key_used=live_call or (ApiKey.Mode.LIVE, True) in modes,
            live_call=live_call,
        )


def _arrived(tenant_id: uuid.UUID, mode: str) -> bool:
    newest = Delivery.objects.for_tenant(tenant_id).filter(mode=mode)
    states = newest.order_by("-created_at", "-id").values_list("state", flat=True)[:DELIVERIES]
    return Delivery.State.DELIVERED in set(states)
