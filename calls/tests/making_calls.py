"""Calls that are over, for tests of what may be read of them."""

import functools
import io
import math
import uuid
from datetime import datetime, timedelta
from typing import Any

import av
import numpy as np
from django.core.files.base import ContentFile
from django.utils import timezone

from calls.models import Call, Drill, Recording, TranscriptLine
from calls.services.transcripts import words_keep
from scoring.models import Rubric, Scorecard, Verdict
from scoring.tests.making import check_content, rubric_content
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Agency, Rep, Tenant

LINES = [
    ("assistant", "Hello? Who is this?"),
    ("user", "Hi Dolores, this is Sam with Harbor Benefits. We do not offer every plan."),
    ("assistant", "Oh. Well, I am happy with what I have."),
    ("user", "That is good to hear. What do you pay for your prescriptions today?"),
    ("assistant", "About forty dollars a month, and my doctor is Dr. Patel."),
    ("user", "Would you like to go ahead and enroll today?"),
]  # fmt: skip
SECONDS = 5.0  # per line
RUBRIC = rubric_content(  # of add_scorecard's verdicts
    sections=[
        {
            "key": key,
            "title": title,
            "checks": [check_content(c, points=10, partial=60) for c in of],
        }
        for key, title, of in (
            ("opening", "Opening", ["not_every_plan"]),
            ("discovery", "Finding out", ["prescriptions", "doctors"]),
        )
    ]
)


def make_call(
    tenant: Tenant,
    *,
    user: str = "rep_8842",
    agency: str | None = None,
    ended_at: datetime | None = None,
    scored_at: datetime | None = None,
    seconds: float = 37.241,
    **fields: Any,
) -> Call:
    """A scored call; nothing else came of it yet. `fields` overrides columns."""
    ended_at = ended_at or timezone.now() - timedelta(minutes=5)
    with tenant_scope(tenant.pk):
        who = {"tenant": tenant, "external_id": user}
        place = None
        if agency is not None:
            place, _ = Agency.objects.get_or_create(tenant=tenant, external_id=agency)
        known = {"agency": place, "sandbox_only": fields.get("mode") == "test"}
        rep, _ = Rep.objects.get_or_create(**who, defaults=known)
        columns = {
            "stage": Call.Stage.SCORED,
            "started_at": ended_at - timedelta(seconds=seconds),
            "ended_at": ended_at,
            "scored_at": scored_at or ended_at + timedelta(seconds=40),
            "end_reason": Call.EndReason.REP_ENDED,
            "persona_name": "Dolores Whitfield",
        }
        return Call.objects.create(
            tenant=tenant,
            rep=rep,
            agency=place,
            external_user_id=user,
            external_agency_id=agency,
            drill_owner_id=CATALOGUE,
            drill=the_drill(),
            drill_key="ma-full-sale",
            seed=7,
            **columns | fields,
        )


def the_drill() -> Drill:
    """The catalogue's one drill; make it first with `make_drill`."""
    return Drill.objects.with_catalogue().get(tenant_id=CATALOGUE, key="ma-full-sale")


def add_transcript(call: Call, lines: list[tuple[str, str]] = LINES) -> None:
    with tenant_scope(call.tenant_id):
        TranscriptLine.objects.bulk_create(
            TranscriptLine(
                tenant_id=call.tenant_id,
                call=call,
                number=number,
                role=role,
                text=text,
                start_time=number * SECONDS,
                end_time=number * SECONDS + 4.2,
            )
            for number, (role, text) in enumerate(lines)
        )
        words_keep(call=call)


def add_recording(call: Call, content: bytes | None = None, seconds: float = 30.0) -> Recording:
    """By default a real MP3: one tone a line, each a tone higher than the last."""
    content = tones(seconds) if content is None else content
    with tenant_scope(call.tenant_id):
        recording = Recording(
            tenant_id=call.tenant_id, call=call, duration=seconds, size=len(content)
        )
        recording.file.save(f"tests/{uuid.uuid4().hex}.mp3", ContentFile(content), save=False)
        recording.save()
        return recording


@functools.cache
def tones(seconds: float) -> bytes:
    rate = 48_000
    time = np.arange(round(seconds * rate)) / rate
    hertz = 220 * 2 ** (np.floor(time / SECONDS) / 6)
    left = (6000 * np.sin(2 * math.pi * hertz * time)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=rate, layout="stereo")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(
            np.stack([left, left], axis=1).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = rate
        resampler = av.AudioResampler(format="s16p", layout="stereo", rate=rate)
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def add_scorecard(call: Call, overall: int = 82, doctors: str = "no", **fields: Any) -> Scorecard:
    """Three checks: one met with a quote, one partly, one failed for want of it."""
    texts = {
        "summary": "A friendly opening and a clear close, but little was asked.",
        "feedback": "Ask about doctors before you name a plan.",
    }
    with tenant_scope(CATALOGUE):
        rubric, _ = Rubric.objects.get_or_create(
            tenant_id=CATALOGUE,
            key="ma-full-sale",
            version=1,
            defaults={"digest": "d" * 64, "title": "Full sale", "content": RUBRIC},
        )
    with tenant_scope(call.tenant_id):
        card = Scorecard.objects.create(
            tenant_id=call.tenant_id,
            call=call,
            rubric_owner_id=CATALOGUE,
            rubric=rubric,
            judge_name="embedded",
            judge_version="1",
            judge_model="minilm",
            overall=overall,
            earned=16,
            possible=20,
            coverage=1.0,
            sections=[
                {"key": "opening", "title": "Opening", "earned": 10, "possible": 10},
                {"key": "discovery", "title": "Finding out", "earned": 6, "possible": 10},
            ],
            hard_fails=[],
            metrics={
                "talk_ratio": 0.56,
                "longest_monologue": 14.2,
                "pace": 148.0,
                "questions": 2,
                "interruptions": 0,
                "patience": 0.8,
                "silence": 3.1,
                "rep_seconds": 12.6,
                "persona_seconds": 12.6,
                "rep_turns": 3,
                "persona_turns": 3,
            },
            **texts | fields,
        )
        Verdict.objects.bulk_create(_verdicts(card, doctors))
        Call.objects.filter(pk=call.pk).update(overall=overall)
        return card


def _verdicts(card: Scorecard, doctors: str) -> list[Verdict]:
    quote = "We do not offer every plan."
    told = LINES[1][1].index(quote)
    cost = "What do you pay for your prescriptions today?"
    asked = LINES[3][1].index(cost)
    rows: list[tuple[str, str, str, str, float, dict[str, Any]]] = [
        ("not_every_plan", "opening", "Said that not every plan is offered", "yes", 10,
         {"kind": "quote", "turn": 1, "quote": quote, "firstCharacter": told,
          "lastCharacter": told + len(quote), "start": 6.5, "end": 9.0}),
        ("prescriptions", "discovery", "Asked about prescriptions and what they cost", "partial", 6,
         {"kind": "quote", "turn": 3, "quote": cost, "firstCharacter": asked,
          "lastCharacter": asked + len(cost), "start": 16.5, "end": 19.0}),
        ("doctors", "discovery", "Asked which doctors the customer wants to keep", doctors, 0,
         {"kind": "absence", "firstTurn": 1, "lastTurn": 5, "start": 5.0, "end": 29.2,
          "turnsSearched": 3}),
    ]  # fmt: skip
    return [
        Verdict(
            tenant_id=card.tenant_id,
            scorecard=card,
            position=position,
            check_key=key,
            section=section,
            title=title,
            question=f"{title}?",
            advice="Ask for the doctors by name, early." if answer == "no" else "",
            answer=answer,
            points=points,
            max_points=10,
            verified=True,
            evidence=evidence,
            reason="",
        )
        for position, (key, section, title, answer, points, evidence) in enumerate(rows)
    ]
