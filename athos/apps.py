from django.apps import AppConfig
from django.db.backends.signals import connection_created

from athos.database_role import refuse_wrong_role


class AthosConfig(AppConfig):
    name = "athos"

    def ready(self) -> None:
        connection_created.connect(refuse_wrong_role, dispatch_uid="refuse_wrong_role")
