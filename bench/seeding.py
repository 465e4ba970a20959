"""The process that makes ended calls in a running `up`, without anybody speaking.

Started by `bench.product.Seeder` with the product's own environment (ATHOS_VAR). Each line of
input is the path of a dialogue (`bench.dialogues`); for each a line of JSON comes back once the
call has ended and is due. All goes through the product's services: mint, redeem, take, record, end.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import django
import numpy as np

os.environ["DJANGO_SETTINGS_MODULE"] = "athos.settings"
django.setup()

from django.db.models.functions import Now  # noqa: E402

from calls.live.codec import encode_clip  # noqa: E402
from calls.live.events import Part  # noqa: E402
from calls.live.recorder import Recorder  # noqa: E402
from calls.models import Call, LiveSlot  # noqa: E402
from calls.services import live  # noqa: E402
from calls.services.tokens import (  # noqa: E402
    Redeemed,
    RedeemRequest,
    session_mint,
    session_redeem,
    session_token_read,
)
from tenants.auth import caller_find  # noqa: E402
from tenants.errors import ServiceUnavailable  # noqa: E402
from tenants.isolation import tenant_scope  # noqa: E402

SLOT_WITHIN = 60.0  # seconds to wait for room on a live worker
BEAT_SECONDS = 1.0


@cache
def parts_of(path: Path) -> tuple[list[Part], list[dict], float]:
    """What a live worker would record and write of this dialogue, and its length in seconds."""
    with np.load(path) as file:
        channels = {name: file[name] for name in ("rep", "persona")}
        turns = json.loads(str(file["turns"]))
    parts: list[Part] = []
    recorder = Recorder(parts.append)
    for name, add in (("rep", recorder.rep), ("persona", recorder.persona)):
        for number, packet in enumerate(encode_clip(channels[name])):
            add(number * 0.02, packet)
    recorder.close()
    return parts, turns, len(channels["rep"]) / 48_000


def call_begin(api_key: str) -> tuple[live.OwnedCall, LiveSlot]:
    """A live call, carried by this process on a slot of the product's worker."""
    minted = session_mint(
        caller=caller_find(api_key, None), external_user_id="bench", external_agency_id=None
    )
    tenant_id, claims = session_token_read(minted.token)
    wish = RedeemRequest(drill_key="ma-full-sale", difficulty="Advanced", filters={}, origin="")
    until = time.monotonic() + SLOT_WITHIN
    while True:
        try:
            redeemed = session_redeem(tenant_id=tenant_id, claims=claims, wish=wish)
            break
        except ServiceUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
    if not isinstance(redeemed, Redeemed):
        raise redeemed
    slot = LiveSlot.objects.get(call_id=redeemed.call.pk)
    owned = live.call_take(tenant_id=tenant_id, call_id=redeemed.call.pk, worker_id=slot.worker_id)
    live.call_live(call=owned)
    return owned, slot


def call_make(api_key: str, path: Path) -> dict[str, object]:
    """One ended call; when it became due, in seconds of the clock on the wall."""
    parts, turns, seconds = parts_of(path)
    owned, slot = call_begin(api_key)
    with tenant_scope(owned.tenant_id):
        began = Now() - timedelta(seconds=seconds)
        Call.objects.filter(pk=owned.id).update(started_at=began)
    beaten = time.monotonic()
    for part in parts:
        live.recording_part_add(
            call=owned, channel=part.channel, number=part.number, offset=part.offset,
            duration=part.duration, data=part.data,
        )  # fmt: skip
        if time.monotonic() - beaten > BEAT_SECONDS:
            live.worker_beat(worker_id=slot.worker_id, calls=[owned.id])
            beaten = time.monotonic()
    for number, turn in enumerate(turns, start=1):
        live.turn_add(call=owned, number=number, values=turn)
    live.call_end(call=owned, reason="rep_ended", seconds=seconds)
    return {"id": str(owned.id), "public_id": owned.public_id, "due": time.time()}


def asked() -> Iterator[Path]:
    for line in sys.stdin:
        yield Path(line.strip())


def main() -> None:
    demo = json.loads((Path(os.environ["ATHOS_VAR"]) / "demo.json").read_text())
    for path in asked():
        print(json.dumps(call_make(demo["apiKey"], path)), flush=True)


if __name__ == "__main__":
    main()
