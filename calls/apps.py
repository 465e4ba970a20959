from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "calls"

    def ready(self) -> None:
        from calls.models import (
            Assignee,
            Call,
            Erasure,
            PracticeDay,
            Rescoring,
            RetentionRound,
            SandboxCall,
        )
        from calls.sandbox.services import sandbox_tell_parked
        from calls.services.outcomes import call_tell_parked
        from work.kinds import SLOW, Kind, register

        register(Kind(name="connect", model=Call, task="calls.tasks.connect_due"))
        register(Kind(name="lost", model=Call, task="calls.tasks.lost_due"))
        register(
            Kind(
                name="sandbox",
                model=SandboxCall,
                task="calls.tasks.sandbox_due",
                queue=SLOW,
                on_park=sandbox_tell_parked,
            )
        )
        register(
            Kind(
                name="transcribe",
                model=Call,
                task="calls.tasks.transcribe_due",
                queue=SLOW,
                lease_limit=1800,  # it keeps what it has, chunk by chunk, and goes on from there
                on_park=call_tell_parked,
            )
        )
        register(
            Kind(
                name="score",
                model=Call,
                task="calls.tasks.score_due",
                queue=SLOW,
                on_park=call_tell_parked,
            )
        )
        register(Kind(name="practice", model=PracticeDay, task="calls.tasks.practice_due"))
        register(Kind(name="rescore", model=Rescoring, task="calls.tasks.rescore_due", queue=SLOW))
        # What must be deleted is not given up because a storage is away: a month of tries.
        register(
            Kind(
                name="erase",
                model=Erasure,
                task="calls.tasks.erase_due",
                lease_limit=3600,
                max_failures=10_000,
            )
        )
        register(
            Kind(
                name="retain",
                model=RetentionRound,
                task="calls.tasks.retain_due",
                queue=SLOW,
                lease_limit=1800,
                max_failures=10_000,
            )
        )
        register(Kind(name="remind", model=Assignee, task="calls.tasks.remind_due", lease_limit=60))
