"""What a browser is told about TURN. That coturn agrees is proved in test_network_paths."""

import time

from calls.services.turn import CREDENTIALS_SECONDS, ice_servers, turn_credentials


def test_credentials_hold_for_one_call_and_its_longest_time(settings):
    settings.ICE_SERVERS = [{"urls": "stun:stun.example.com"}]
    settings.TURN_URLS, settings.TURN_SECRET = ["turn:turn.example.com:3478"], "a secret"
    stun, turn = ice_servers(call="athos_call_1")
    assert stun == {"urls": "stun:stun.example.com"}
    expires_at, _, call = turn["username"].partition(":")
    assert call == "athos_call_1"
    assert 7200 < int(expires_at) - time.time() <= CREDENTIALS_SECONDS
    assert turn["urls"] == ["turn:turn.example.com:3478"]
    assert ice_servers(call="athos_call_2")[1]["credential"] != turn["credential"]
    assert "secret" not in str(turn)


def test_the_password_is_the_digest_that_turn_servers_expect():
    # printf %s 1700000000:athos_call_1 | openssl dgst -sha1 -hmac north -binary | base64
    made = turn_credentials(secret="north", call="athos_call_1", expires_at=1_700_000_000)
    assert made == ("1700000000:athos_call_1", "JZ/FGNV5KORXk8ZIeSyQbq317qs=")


def test_without_a_relay_there_are_no_credentials(settings):
    settings.ICE_SERVERS, settings.TURN_URLS = [], []
    assert ice_servers(call="athos_call_1") == []
