"""Doors for workers: which service handles which kind of due call."""

from celery import shared_task

from calls.after_call.assessment import call_rescore, call_score
from calls.after_call.transcribing import call_transcribe
from calls.assignments.reminding import reminder_send
from calls.erasure.carrying_out import erasure_carry_out
from calls.erasure.rounds import retention_round
from calls.models import (
    Assignee,
    Call,
    Erasure,
    PracticeDay,
    Rescoring,
    RetentionRound,
    SandboxCall,
)
from calls.sandbox.making import sandbox_call_make
from calls.services.ending import call_end_lost, call_fail_unconnected
from calls.services.practice_days import practice_day_count
from work.drain import drain


@shared_task
def connect_due() -> None:
    """Calls that nobody connected to in time."""
    drain(Call, kind="connect", handle=call_fail_unconnected)


@shared_task
def lost_due() -> None:
    """Live calls that no worker holds."""
    drain(Call, kind="lost", handle=call_end_lost)


@shared_task
def sandbox_due() -> None:
    """Calls with test keys that are to be made."""
    drain(SandboxCall, kind="sandbox", handle=sandbox_call_make)


@shared_task
def transcribe_due() -> None:
    """Calls that ended."""
    drain(Call, kind="transcribe", handle=call_transcribe)


@shared_task
def score_due() -> None:
    """Calls with a transcript."""
    drain(Call, kind="score", handle=call_score)


@shared_task
def rescore_due() -> None:
    """Scored calls that are to be scored again."""
    drain(Rescoring, kind="rescore", handle=call_rescore)


@shared_task
def erase_due() -> None:
    """Erasures that were asked for."""
    drain(Erasure, kind="erase", handle=erasure_carry_out)


@shared_task
def retain_due() -> None:
    """Tenants whose old content is to be looked for."""
    drain(RetentionRound, kind="retain", handle=retention_round)


@shared_task
def practice_due() -> None:
    """Days whose sums are to be counted again."""
    drain(PracticeDay, kind="practice", handle=practice_day_count)


@shared_task
def remind_due() -> None:
    """Mails about assignments."""
    drain(Assignee, kind="remind", handle=reminder_send)
