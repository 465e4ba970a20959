"""A passkey in a real Chromium with an authenticator of its own, and the pages of signing in."""

import pytest

from tenants.models import User
from tests.dashboard.bed import OWNER
from tests.dashboard.test_pages import AXE, DESK, PHONE, look

pytestmark = pytest.mark.browser


def authenticator(guest):
    """Chromium's own, which confirms whatever it is asked."""
    devtools = guest.context.new_cdp_session(guest.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_added_and_signs_in_alone(opened, bed, origin):
    with opened("/account/passkeys/add") as guest:
        authenticator(guest)
        page = guest.page
        page.get_by_label("What you call it").fill("My laptop")
        page.get_by_role("button", name="Add it").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()
        assert page.locator(".codes li").count() == 10
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_text("My laptop").wait_for()
        page.get_by_role("button", name="Sign out").first.click()
        page.goto(f"{origin}/sign-in")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url(f"{origin}/**", wait_until="load")
        page.get_by_role("navigation", name="Main").first.wait_for()
        page.goto(f"{origin}/account")
        assert bed.full.users[OWNER].email in page.content()
        assert guest.console == []


def test_pages_of_signing_in_stand_in_both_widths_and_colours(opened, bed, origin):
    User.objects.filter(pk=bed.empty.users[OWNER].pk).update(email="newcomer@example.com")
    places = {
        "sign-in": "/sign-in",
        "password-forgotten": "/sign-in/password",
        "password-link-over": "/sign-in/password/1-x",
        "invitation-over": "/invitation/x",
        "confirm": "/sign-in/confirm",
        "authenticator": "/account/authenticator",
        "passkey-add": "/account/passkeys/add",
        "password-change": "/account/password",
    }
    with opened("/account", state="empty", width=DESK) as guest:
        for name, path in places.items():
            if name == "sign-in":
                cookies = guest.context.cookies()
                guest.context.clear_cookies()
            if name == "confirm":
                guest.context.add_cookies(cookies)
            guest.page.goto(origin + path)
            guest.page.wait_for_selector("h1")
            guest.page.evaluate(AXE)
            look(guest, name, DESK, dark=False)
            look(guest, name, PHONE, dark=True)
        # a page that is over answers 404; hints to developers are no errors
        errors = [line for line in guest.console if not line.startswith("verbose")]
        assert [line for line in errors if "404" not in line] == []
