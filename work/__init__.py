"""Work that is due: rows with a due time, claims with leases, bells, the sweep.

An app makes a row due in its own transaction, and rings. The row is the truth, the bell a hurry-up.

    class Call(TenantRow, DueRow): ...                              # models.py

    *due_functions(kind="transcribe", table="calls_call",           # a migration's operations
                   where="due_row.stage = 'ended'")

    register(Kind(name="transcribe", model=Call, task="calls.tasks.transcribe_due",
                  queue=SLOW, lease_limit=900, on_park=call_tell_failed))     # AppConfig.ready

    @shared_task
    def transcribe_due() -> None:                                   # tasks.py
        drain(Call, kind="transcribe", handle=transcript_create)

    def transcript_create(claim: Claim[Call]) -> None:              # a service
        try:
            words = transcribe(..., between=claim.check)            # long: outside any transaction
        except ProviderUnavailable:
            claim.release(error="SPEECH_UNAVAILABLE")               # later, with growing waits
            return
        with claim.finish() as call:                                # locked, in its tenant's scope
            call.stage, call.due_at = Call.Stage.TRANSCRIBED, timezone.now()
            call.save(update_fields=["stage", "due_at", "updated_at"])
            ring("score")                                           # after the commit

To read what the work needs, open `tenant_scope(claim.tenant_id)` first: a claim carries ids only.
`claim.step()` commits a part and keeps the claim. Many short ones at once: `claim_batch`, `hold`.
What a handler raises is logged without its message and counts as a crash.
"""
