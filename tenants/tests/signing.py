"""Browsers of people who are signed in."""

import time

from django.test import Client

from tenants.models import User


def signed_in(user: User, *, seconds_ago: float = 0, **client: object) -> Client:
    """A client whose session looks like a sign-in with a password so long ago."""
    browser = Client(**client)  # type: ignore[arg-type]
    browser.force_login(user)
    session = browser.session
    proof = {"method": "password", "at": time.time() - seconds_ago, "email": user.email}
    session["account_authentication_methods"] = [proof]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return browser
