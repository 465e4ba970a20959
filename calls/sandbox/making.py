"""The work `sandbox`: a script becomes an ended call, which then goes the way of every call."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from calls.after_call.engines import speech_client
from calls.live.events import Part, Turn
from calls.live.tts import LineCache
from calls.models import Call, SandboxCall
from calls.ports import Embedder, ProviderRefused, ProviderUnavailable, Voice
from calls.providers.embedder import OpenAIEmbedder
from calls.providers.voice import OpenAIVoice
from calls.sandbox.conversation import Recorded, record, speak_by_text
from calls.sandbox.month import NEXT_LOOK, call_is_discussed, month_afterwards
from calls.sandbox.scripts import scripts
from calls.sandbox.services import EPOCH, sandbox_call_fail, sandbox_call_made
from calls.sandbox.speaking import Voices
from calls.services.live import part_file_store
from tenants.isolation import tenant_scope
from work.claims import Claim

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call is made of."""

    call_id: uuid.UUID
    public_id: str
    pack: Mapping[str, Any]
    difficulty: str
    seed: int
    rep_lines: tuple[str, ...]
    keep_rep: bool
    is_discussed: bool
    fails: str


def sandbox_call_make(claim: Claim[SandboxCall]) -> None:
    """Speak the script, then keep turns, recording and the call's end in one transaction.

    Nothing is kept before: who is killed here leaves a row that is due again, and perhaps files
    that no row names. A call of the demo's month is looked at again for what is said of it.
    """
    plan = _plan(claim)
    if plan is None:
        month_afterwards(claim)
        return
    if plan.fails:
        sandbox_call_fail(claim=claim, failure=Call.Failure(plan.fails))
        return
    try:
        recorded = asyncio.run(_spoken(plan))
        claim.check()
        parts = [_part_kept(claim.tenant_id, plan.call_id, part) for part in recorded.parts]
    except ProviderUnavailable:
        claim.release(error="SPEECH_UNAVAILABLE")
    except ProviderRefused:
        claim.park(error="SPEECH_REFUSED")
    except OSError:
        claim.release(error="STORAGE_UNAVAILABLE")
    else:
        turns = [_turn_values(turn) for turn in recorded.turns]
        again_in = NEXT_LOOK if plan.is_discussed else None
        sandbox_call_made(
            claim=claim, turns=turns, parts=parts, seconds=recorded.seconds, again_in=again_in
        )
        logger.info("sandbox_call_made", extra={"call_id": plan.public_id})


def _plan(claim: Claim[SandboxCall]) -> Plan | None:
    """None: the call is made already."""
    with tenant_scope(claim.tenant_id):
        sandbox = SandboxCall.objects.select_related("call__drill").get(pk=claim.pk)
        call = sandbox.call
        if call.stage != Call.Stage.CREATED:
            return None
        is_discussed = call_is_discussed(sandbox)
    script = scripts()[sandbox.script] if sandbox.script else None
    return Plan(
        call_id=call.pk,
        public_id=call.public_id,
        pack=call.drill.pack,
        difficulty=call.difficulty,
        seed=call.seed,
        rep_lines=script.lines_for(call.drill_key) if script else tuple(sandbox.rep_lines),
        keep_rep=script is not None or sandbox.happened_at is not None,
        is_discussed=is_discussed,
        fails=script.fails if script else "",
    )


@asynccontextmanager
async def engines() -> AsyncIterator[tuple[Embedder, Voice]]:
    """Those of a live call, asked as work in the background: whoever talks goes first."""
    async with speech_client() as client:
        yield OpenAIEmbedder(client, priority="batch"), OpenAIVoice(client, priority="batch")


async def _spoken(plan: Plan) -> Recorded:
    async with engines() as (embedder, voice):
        turns = await speak_by_text(
            plan.pack,
            difficulty=plan.difficulty,
            seed=plan.seed,
            rep_lines=plan.rep_lines,
            embedder=embedder,
            folder=settings.VECTORS_DIR,
        )
        persona = plan.pack["persona"]
        voices = Voices(
            voice=voice,
            lines=LineCache(settings.VAR_DIR / "live" / "lines"),
            persona_voice=persona["voice"],
            persona_speed=float(persona.get("speed", 1.0)),
            keep_rep=plan.keep_rep,
        )
        sounds = await voices.sounds(turns)
    return record(turns, sounds)


def _part_kept(tenant_id: uuid.UUID, call_id: uuid.UUID, part: Part) -> dict[str, Any]:
    """Put a part into the storage; the columns of its row. Files of a try that dies stay without
    a row and go with the call's folder."""
    name = part_file_store(
        tenant_id=tenant_id,
        call_id=call_id,
        epoch=EPOCH,
        channel=part.channel,
        number=part.number,
        data=part.data,
    )
    return {
        "channel": part.channel,
        "number": part.number,
        "offset": part.offset,
        "duration": part.duration,
        "file": name,
        "size": len(part.data),
    }


def _turn_values(turn: Turn) -> dict[str, Any]:
    return {
        "role": turn.role,
        "text": turn.text,
        "start_time": turn.start,
        "end_time": turn.end,
        "director": dict(turn.director),
    }
