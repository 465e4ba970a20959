"""Whether a person proved only just now who they are: for secrets, and for what can't be undone."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

Parameters = ParamSpec("Parameters")
View = Callable[Concatenate[HttpRequest, Parameters], HttpResponse]


def fresh_sign_in(view: View[Parameters]) -> View[Parameters]:
    """Only for who signed in, or confirmed it, in the last minutes; others confirm it first.

    Stands below `for_members`. A plain form goes on by itself after that, without what it
    uploaded; a page of htmx goes to the confirmation and comes back to where it stood.
    """

    @wraps(view)
    def answer(
        request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> HttpResponse:
        if is_fresh(request):
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request") == "true":
            return HttpResponse(status=204, headers={"HX-Redirect": _confirmation(request)})
        raise ReauthenticationRequired  # allauth's middleware keeps the form and asks

    return answer


def fresh_sign_in_for_secrets(view: View[Parameters]) -> View[Parameters]:
    """The same for a form that holds a secret: nothing of it is kept, it is to be filled in again.

    The session would hold it as it is until the person has confirmed, or for ever.
    """

    @wraps(view)
    def answer(
        request: HttpRequest, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> HttpResponse:
        if is_fresh(request):
            return view(request, *args, **kwargs)
        return redirect(_confirm_at(request, request.get_full_path()))

    return answer


def is_fresh(request: HttpRequest) -> bool:
    """Whether the last proof of the person, of whatever kind, is recent enough.

    allauth asks again even who signed in a second ago; that protects nothing more.
    """
    user = request.user
    if not user.is_authenticated:
        return False
    proofs = get_authentication_records(request, user)
    age = time.time() - max((proof["at"] for proof in proofs), default=0.0)
    return bool(age < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)


def _confirmation(request: HttpRequest) -> str:
    """Where htmx goes to confirm, with the way back to the page that it stands on."""
    page = urlsplit(request.headers.get("HX-Current-URL", ""))
    return _confirm_at(request, page.path + (f"?{page.query}" if page.query else ""))


def _confirm_at(request: HttpRequest, back: str) -> str:
    methods = get_adapter(request).get_reauthentication_methods(request.user)
    return f"{methods[0]['url']}?{urlencode({REDIRECT_FIELD_NAME: back or '/'})}"
