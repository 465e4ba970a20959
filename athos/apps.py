from django.apps import AppConfig


class AthosConfig(AppConfig):
    name = "athos"
