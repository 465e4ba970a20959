from django.apps import AppConfig


class CallsConfig(AppConfig):
    name = "calls"

    def ready(self) -> None:
        from calls.models import Call
        from work.kinds import Kind, register

        register(Kind(name="connect", model=Call, task="calls.tasks.connect_due"))
        register(Kind(name="lost", model=Call, task="calls.tasks.lost_due"))
