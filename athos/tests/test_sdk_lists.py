"""The lists that the browser SDK ships are the server's: error codes, drill keys, close codes."""

import re

import pytest
from django.conf import settings

from athos.tests.api_document import described
from calls import consumers
from calls.services.drills import SHIPPED

SOURCES = settings.BASE_DIR / "sdk" / "src"
OF_THE_BROWSER = {
    *("MIC_PERMISSION_DENIED", "MIC_DEVICE_DISCONNECTED", "NO_MIC_AVAILABLE", "NETWORK_LOST"),
    *("AUDIO_PLAYBACK_BLOCKED", "BROWSER_NOT_SUPPORTED", "SESSION_ALREADY_CONNECTED"),
}
# Only a client that is not the SDK can cause these; should one come, the SDK judges by its status.
NOT_CAUSED_BY_THE_SDK = {"PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "METHOD_NOT_ALLOWED"}


def listed(file: str, name: str) -> list[str]:
    """The strings of `export const NAME = [...]`."""
    source = (SOURCES / file).read_text()
    found = re.search(rf"export const {name} = \[(.*?)\]", source, re.DOTALL)
    assert found, f"{file} has no list {name}"
    return re.findall(r'"([^"]+)"', found[1])


def test_the_error_codes_are_the_browsers_own_and_those_of_redeeming():
    (redeem,) = [found for found in described() if found.path.endswith("/roleplay/session")]
    answered = {code for _, code in redeem.codes()} - NOT_CAUSED_BY_THE_SDK
    codes = listed("errors.ts", "ATHOS_ERROR_CODES")
    assert len(codes) == len(set(codes))
    assert set(codes) == OF_THE_BROWSER | answered


def test_the_drill_keys_are_those_of_the_shipped_drills():
    assert listed("drills.ts", "ATHOS_DRILL_KEYS") == sorted(
        file.stem for file in SHIPPED.glob("*.yaml")
    )


@pytest.mark.parametrize("name", ["TICKET_REFUSED", "TAKEN_OVER", "CALL_OVER", "NO_WORKER"])
def test_the_close_codes_are_those_of_the_signalling_socket(name):
    source = (SOURCES / "protocol.ts").read_text()
    found = re.search(rf"CLOSE_{name} = (\d+);", source)
    assert found and int(found[1]) == getattr(consumers, name)
