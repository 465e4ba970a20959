"""How people sign in to the dashboard: with e-mail and password, never by signing up themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """People are added by those who are in already."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
