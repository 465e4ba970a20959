"""Engines that a tenant chose: kept sealed, asked at public addresses only, nobody else's."""

import io
import uuid

import numpy as np
import pytest
from aiohttp import web
from django.core.management import CommandError, call_command

from calls.models import Provider
from calls.ports import ProviderRefused, ProviderUnavailable, Transcript
from calls.providers import speech_client
from calls.providers.choices import ProviderChoice, base_checked
from calls.providers.registry import EngineChoice, open_providers
from calls.providers.speech_client import SpeechClient
from calls.providers.transcriber import SparedTranscriber
from calls.services.providers import provider_choices, provider_remove, provider_set
from calls.tests.making import make_integrator
from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import AuditEvent
from webhooks.addresses import Refused

URL = "https://models.example.com/v1"
KEY = "sk-canary-4711"


@pytest.fixture
def acme(db):
    return make_integrator("Acme").tenant


def choose(tenant, kind="chat", url=URL, **more):
    return provider_set(tenant_id=tenant.pk, kind=kind, url=url, model="m-1", **more)


# --- kept -----------------------------------------------------------------------------------------


def test_a_key_lies_sealed_and_comes_back_whole(acme):
    row = choose(acme, key=f" {KEY}\n")
    assert KEY not in row.sealed_key and row.sealed_key
    choice = provider_choices(tenant_id=acme.pk)["chat"]
    assert (choice.url, choice.model, choice.key, choice.checked) == (URL, "m-1", KEY, True)
    assert KEY not in repr(choice)
    with tenant_scope(acme.pk):
        event = AuditEvent.objects.get(action="provider_set")
    assert event.target == "chat" and KEY not in str(event.details)


def test_a_strangers_engine_is_nobody_elses(acme):
    stranger = make_integrator("Stranger").tenant
    choose(stranger, key=KEY)
    assert provider_choices(tenant_id=acme.pk) == {}
    assert provider_remove(tenant_id=acme.pk, kind="chat") is False
    with tenant_scope(acme.pk):
        assert not Provider.objects.exists()
    assert provider_choices(tenant_id=stranger.pk)["chat"].key == KEY


def test_choosing_again_replaces_and_removing_goes_back(acme):
    choose(acme, key=KEY)
    choose(acme, url="https://other.example.com/v1/")
    (choice,) = provider_choices(tenant_id=acme.pk).values()
    assert (choice.url, choice.key) == ("https://other.example.com/v1", "")
    assert provider_remove(tenant_id=acme.pk, kind="chat") is True
    assert provider_choices(tenant_id=acme.pk) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://models.example.com/v1"},
        {"url": "https://127.0.0.1/v1"},
        {"url": "https://metadata.internal/v1"},
        {"url": "http://localhost:8000/v1"},
        {"url": "https://user:pw@models.example.com/v1"},
        {"url": "https://models.example.com:22/v1"},
        {"kind": "cat"},
        {"key": "x" * 1001},
        {"key": "new\nline"},
        {"voices": {"*": "x" * 101}},
    ],
)
def test_what_cannot_be_an_engine_is_refused(acme, wrong):
    with pytest.raises(InvalidRequest):
        choose(acme, **wrong)
    assert provider_choices(tenant_id=acme.pk) == {}


def test_the_operator_may_let_tenants_use_a_local_engine(acme, settings):
    settings.PROVIDER_LOCAL_URLS = ["http://127.0.0.1:8360/v1/"]
    choose(acme, url="http://127.0.0.1:8360/v1")
    assert provider_choices(tenant_id=acme.pk)["chat"].checked is False
    settings.PROVIDER_LOCAL_URLS = []
    assert provider_choices(tenant_id=acme.pk) == {}  # no longer


def test_a_key_whose_seal_is_lost_costs_the_engine_not_the_call(acme, settings):
    choose(acme, key=KEY)
    choose(acme, kind="speech")
    settings.ENCRYPTION_KEYS = {"new": "n" * 40}
    assert list(provider_choices(tenant_id=acme.pk)) == ["speech"]


def test_an_operator_chooses_by_command(acme, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    told = io.StringIO()
    call_command(
        "provider", str(acme.pk), "speech", "--url", URL, "--model", "tts-1", "--key",
        "--voice", "*=nova", stdout=told,
    )  # fmt: skip
    choice = provider_choices(tenant_id=acme.pk)["speech"]
    assert choice.key == KEY and choice.voice("af_bella") == "nova"
    assert URL in told.getvalue() and KEY not in told.getvalue()
    call_command("provider", str(acme.pk), "speech", "--remove", stdout=told)
    assert provider_choices(tenant_id=acme.pk) == {}
    for wrong in (["chat", "--url", "http://10.0.0.1/v1", "--model", "m"], ["chat"]):
        with pytest.raises(CommandError):
            call_command("provider", str(acme.pk), *wrong)
    with pytest.raises(CommandError):
        call_command("provider", str(uuid.uuid4()))


# --- asked ----------------------------------------------------------------------------------------


def test_a_base_has_no_slash_at_its_end():
    assert base_checked(f"{URL}/", local=()) == (URL, True)
    with pytest.raises(Refused):
        base_checked("https://[::1]/v1", local=())


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1"])
async def test_a_public_name_with_a_private_address_is_not_asked(monkeypatch, address):
    async def lookup(host):
        return [address]

    monkeypatch.setattr(speech_client, "system_lookup", lookup)
    client = SpeechClient(URL, KEY, checked=True)
    with pytest.raises(ProviderRefused, match="public internet"):
        await client.post("/x", body={}, priority="live", seconds=5)
    await client.close()


async def test_a_redirect_is_not_followed():
    asked = []

    async def handler(request):
        asked.append(request.path)
        raise web.HTTPFound("/v1/elsewhere")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = SpeechClient(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
    with pytest.raises(ProviderRefused):
        await client.post("/x", body={}, priority="live", seconds=5)
    assert asked == ["/v1/x"]
    await client.close()
    await runner.cleanup()


class FakeEars:
    def __init__(self, said):
        self.said, self.asked = said, 0

    async def live(self, pcm, **options):
        self.asked += 1
        if isinstance(self.said, Exception):
            raise self.said
        return Transcript(self.said)


@pytest.mark.parametrize("failure", [ProviderUnavailable("late"), ProviderRefused("key")])
async def test_ours_hears_when_the_other_engine_does_not(failure):
    pcm, first, spare = np.zeros(1600, np.int16), FakeEars(failure), FakeEars("Ours.")
    assert (await SparedTranscriber(first, spare=spare).live(pcm)).text == "Ours."
    assert (await SparedTranscriber(FakeEars("Theirs."), spare=spare).live(pcm)).text == "Theirs."
    assert spare.asked == 1


async def test_a_call_gets_the_tenants_engines_before_the_operators(monkeypatch):
    monkeypatch.setattr("calls.providers.registry.SmartTurnDetector", lambda models: _Closable())
    operators = ProviderChoice("chat", "http://127.0.0.1:1/v1", "operator-model", checked=False)
    engines = EngineChoice(models=None, local_url="http+unix:///none", choices={"chat": operators})
    async with open_providers(engines) as providers:
        assert providers.default.chat.model == "operator-model"
        own = {"chat": ProviderChoice("chat", URL, "own-model"),
               "speech": ProviderChoice("speech", URL, "v", owner="t1")}  # fmt: skip
        other = {"speech": ProviderChoice("speech", URL, "v", owner="t2")}
        mine, theirs = await providers.chosen(own), await providers.chosen(other)
        assert (mine.chat.model, theirs.chat.model) == ("own-model", "operator-model")
        versions = {mine.voice.version, theirs.voice.version, providers.default.voice.version}
        assert len(versions) == 3  # sound is kept apart


class _Closable:
    def close(self):
        pass
