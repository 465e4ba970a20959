"""The SDK in real browsers, on a page that was written from its README alone.

A call costs seconds, so one call goes through many states.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.clips import spoken
from tests.integrator_page import Site, integrator_site
from tests.tabs import TABS, ChromiumTab, FirefoxTab, Tab, asleep, until

pytestmark = [
    *(pytest.mark.journey, pytest.mark.browser, pytest.mark.models, pytest.mark.slow),
    pytest.mark.timeout(400),
]

LINE = "Which doctors do you see?"
BLOCKED_SOUND = {"media.autoplay.default": 1, "media.autoplay.blocking_policy": 2}
REDEEM = "/api/external/v1/roleplay/session"


@pytest.fixture(scope="module")
def site(product) -> Iterator[Site]:
    with integrator_site(product, spoken(LINE, product.speech_socket)) as running:
        yield running


@pytest.fixture(scope="module", params=list(TABS))
def tab(request) -> Iterator[Tab]:
    with TABS[request.param]() as opened:
        yield opened


def until_event(tab: Tab, name: str, value: str = "true") -> None:
    until(tab, f"heard.some(([name, payload]) => name === '{name}' && {value})")


def call(tab: Tab, site: Site, path: str = "") -> None:
    """The page's own button, until the call is live."""
    tab.open(site.address + path)
    until(tab, "window.ready")
    tab.click("#startButton")
    until_event(tab, "ready")


def events(tab: Tab) -> list[str]:
    """What came, without who spoke when."""
    every = [name for name, _ in tab.run("return heard;")]
    return [name for name in every if not name.endswith("Speaking")]


def codes(tab: Tab) -> list[str]:
    return tab.run("return heard.filter(([n]) => n === 'error').map(([, p]) => p.code);")


def forget(tab: Tab) -> None:
    tab.run("heard.length = 0;")


def hear_out(tab: Tab) -> None:
    """Until the persona has spoken and is silent again."""
    quiet = "window.__voice.state().now - window.__voice.state().lastSound > 0.8"
    until(tab, f"window.__voice.state().utterances > 0 && {quiet}")


def say(tab: Tab) -> None:
    forget(tab)
    tab.run("await window.__voice.say(window.__clip);")


def say_and_be_heard(tab: Tab) -> None:
    say(tab)
    until_event(tab, "userSpeaking", "payload.speaking")


def end(tab: Tab) -> None:
    tab.click("#endButton")
    until_event(tab, "ended")
    assert_all_is_off(tab)


def assert_all_is_off(tab: Tab) -> None:
    assert tab.run("return tracks.every((track) => track.readyState === 'ended');")
    assert tab.run("return document.querySelectorAll('audio').length;") == 0


def test_a_call_of_a_page_from_the_readme(tab, site):
    """Heard and answered; muted, switched, unplugged and back, a button held, a pause: all in one
    call that goes on."""
    with sound_wants_a_click(tab) as blocked:
        call(tab, site)
        if blocked:
            until_event(tab, "error")
            assert codes(tab) == ["AUDIO_PLAYBACK_BLOCKED"]
            assert tab.run("return document.querySelector('audio').paused;") is True
            tab.click("#resume")
            until(tab, "window.resumed")
        assert tab.run("return document.querySelector('audio').paused;") is False
    assert sorted(events(tab)) == ["connecting", *["error"] * blocked, "ready"]
    hear_out(tab)
    tab.run("await session.mute();")
    say(tab)
    assert events(tab) == []
    her_end = "name === 'personaSpeaking' && !payload.speaking"  # told when her pause is over too
    heard = tab.run(f"return heard.filter(([name, payload]) => !({her_end}));")
    assert heard == [], "a muted microphone was heard"
    assert tab.run("return session.inputLevel();") == 0
    tab.run("await session.unmute(); await session.setMicrophone('another');")
    say_and_be_heard(tab)
    until_event(tab, "personaSpeaking", "payload.speaking")
    unplug(tab)
    assert codes(tab) == ["MIC_DEVICE_DISCONNECTED"]
    tab.run("await session.setMicrophone('back');")
    forget(tab)
    tab.run("await session.pressToTalk(true); await window.__voice.say(window.__clip);")
    tab.run("await session.pressToTalk(false);")
    until_event(tab, "userSpeaking", "!payload.speaking")
    until_event(tab, "personaSpeaking", "payload.speaking")
    pause_and_go_on(tab)
    quality = tab.run("return session.connectionQuality();")
    assert quality["quality"] != "lost"
    assert events(tab) == []
    end(tab)
    call_id = tab.run("return window.waitsFor;")
    assert call_id.startswith("athos_call_")
    site.product.until_status(call_id, "ended", "transcribed", "scored")


def pause_and_go_on(tab: Tab) -> None:
    """In the middle of her sentence: then she is silent, and says it again."""
    tab.run("window.pauses = []; session.onPause(({ paused }) => pauses.push(paused));")
    tab.run("await session.pause();")
    until(tab, "pauses.length === 1")
    forget(tab)
    before = tab.run("return window.__voice.state().utterances;")
    time.sleep(2)
    assert tab.run("return heard;") == []
    assert tab.run("return window.__voice.state().utterances;") <= before + 1  # still on its way
    tab.run("await session.resume();")
    until(tab, "pauses.length === 2")
    assert tab.run("return pauses;") == [True, False]
    until_event(tab, "personaSpeaking", "!payload.speaking")


@contextmanager
def sound_wants_a_click(tab: Tab) -> Iterator[bool]:
    """Firefox can be told to want a click for each sound; Chromium is content with the start's."""
    if not isinstance(tab, FirefoxTab):
        yield False
        return
    for name, value in BLOCKED_SOUND.items():
        tab.marionette.set_pref(name, value)
    try:
        yield True
    finally:
        for name in BLOCKED_SOUND:
            tab.marionette.clear_pref(name)


def unplug(tab: Tab) -> None:
    """The browser ends the track; the line has to stay for longer than it may be silent."""
    forget(tab)
    tab.run("__voice.unplug();")
    until_event(tab, "error")
    time.sleep(2.5)
    assert events(tab) == ["error"]


@pytest.mark.parametrize("seconds", [8, pytest.param(20, marks=pytest.mark.prove)])
def test_a_network_that_comes_back_and_another_tab_that_takes_over(tab, site, seconds):
    kept_redeems(tab, site)
    tab.click("#startButton")
    until_event(tab, "ready")
    hear_out(tab)
    forget(tab)
    with site.cable.pulled():
        time.sleep(seconds)
    back = time.monotonic()
    until_event(tab, "reconnected")
    print(f"audible {time.monotonic() - back:.2f} s after the network was back")
    assert events(tab) == ["reconnecting", "reconnected"]
    say_and_be_heard(tab)
    other = tab.another()
    other.open(site.address)
    until(other, "window.ready")
    redeemed = tab.run("return window.redeemed;")
    other.run("window.fetch = async () => new Response(arguments_[0]);", redeemed)
    other.click("#startButton")
    until_event(other, "ready")
    until_event(tab, "ended")
    assert codes(tab) == ["SESSION_ALREADY_CONNECTED"]
    assert_all_is_off(tab)
    end(other)
    assert codes(other) == []


def kept_redeems(tab: Tab, site: Site) -> None:
    """The page as it is, but what redeeming answers can be given to another tab."""
    tab.open(f"{site.address}/cable")
    until(tab, "window.ready")
    tab.run(
        """
        const real = window.fetch;
        window.fetch = async (...asked) => {
            const answer = await real(...asked), text = await answer.clone().text();
            if (text.includes("connectionUrl")) window.redeemed = text;
            return answer;
        };
        """
    )


@pytest.mark.prove
def test_a_network_that_stays_away_ends_the_call_which_is_scored(tab, site):
    call(tab, site, "/cable")
    hear_out(tab)
    say_and_be_heard(tab)
    until_event(tab, "personaSpeaking", "payload.speaking")
    forget(tab)
    with site.cable.pulled():
        until_event(tab, "ended")
        time.sleep(10)
    time.sleep(3)
    assert events(tab) == ["reconnecting", "error", "ended"]
    assert codes(tab) == ["NETWORK_LOST"]
    assert_all_is_off(tab)
    site.product.until_status(tab.run("return window.waitsFor;"), "scored", seconds=300)


@pytest.mark.prove
def test_a_network_that_is_away_while_much_changes(tab, site):
    """The microphone was unplugged and another one taken; then a button is let go, a pause ends."""
    call(tab, site, "/cable")
    hear_out(tab)
    unplug(tab)
    tab.run("await session.setMicrophone('back'); await session.pressToTalk(false);")
    tab.run("window.pauses = []; session.onPause(({ paused }) => pauses.push(paused));")
    tab.run("await session.pause();")
    until(tab, "pauses.length === 1")
    forget(tab)
    with site.cable.pulled():
        tab.run("await session.pressToTalk(null); await session.resume();")
        time.sleep(8)
    until_event(tab, "reconnected")
    until(tab, "pauses.at(-1) === false")
    say_and_be_heard(tab)
    end(tab)


@pytest.mark.prove
def test_a_laptop_that_slept_goes_on_with_its_call(tab, site):
    call(tab, site)
    hear_out(tab)
    forget(tab)
    with asleep(tab):
        time.sleep(12)
    go_on(tab)
    if isinstance(tab, ChromiumTab):
        for state in ("frozen", "active"):
            tab.cdp("Page.setWebLifecycleState", {"state": state})
            time.sleep(8 if state == "frozen" else 0)
        go_on(tab)
    end(tab)


def go_on(tab: Tab) -> None:
    """After a sleep, when all has settled, the rep is heard; nothing was said of an error."""
    time.sleep(3)
    until(tab, "session.connectionQuality().quality !== 'lost'")
    assert events(tab) in ([], ["reconnecting", "reconnected"])
    say_and_be_heard(tab)
    forget(tab)


@pytest.mark.prove
def test_a_permission_that_is_taken_away_is_told_and_the_call_goes_on(tab, site):
    """With the browser's own microphone, which plays a tone."""
    tab.open(f"{site.address}/plain")
    until(tab, "window.ready")
    tab.permit_microphone(site.address, allowed=True)
    tab.click("#startButton")
    until_event(tab, "ready")
    forget(tab)
    try:
        tab.permit_microphone(site.address, allowed=False)
        until_event(tab, "error")
        assert codes(tab) == ["MIC_PERMISSION_DENIED"]
        time.sleep(2.5)  # longer than a line may be silent
        assert events(tab) == ["error"]
    finally:
        tab.permit_microphone(site.address, allowed=True)
    tab.click("#endButton")
    until_event(tab, "ended")


def test_an_iframe_of_another_origin_calls_where_it_may(tab, site):
    """Without `allow` the browser denies the microphone: the token stays unspent."""
    for allow in ("microphone; autoplay", ""):
        tab.open(f"{site.address}/outer?{allow}")
        tab.enter_frame()
        until(tab, "window.ready")
        tab.click("#startButton")
        if allow:
            until_event(tab, "ready")
            tab.click("#endButton")
            until_event(tab, "ended")
        else:
            until_event(tab, "error")
            assert codes(tab) == ["MIC_PERMISSION_DENIED"]
            asked = "performance.getEntriesByType('resource').map(({ name }) => name)"
            assert not any(url.endswith(REDEEM) for url in tab.run(f"return {asked};"))


@pytest.mark.prove
def test_a_check_before_the_call_finds_all_well(tab, site):
    """Firefox runs no AudioContext on a machine without a sound card, and says so."""
    tab.open(site.address)
    until(tab, "window.ready")
    tab.run(
        """
        startButton.onclick = async () => {
            setTimeout(() => window.__voice.say(window.__clip), 2_000); // the tone is over then
            window.found = await AthosRoleplay.checkEnvironment({ token: arguments_[0],
                apiBase: arguments_[1], echo: true });
        };
        """,
        *(site.mint(), site.product.demo["baseUrl"]),
    )
    tab.click("#startButton")
    found = until(tab, "window.found")
    assert found["network"]["roundTripMs"] >= 0
    assert tab.run("return tracks.every((track) => track.readyState === 'ended');")
    if not isinstance(tab, FirefoxTab):
        assert found["microphone"].get("heard") is True, found
        assert found["echo"] is False


def test_the_examples_of_the_quickstart_make_calls(tab, product):
    """The SDK with buttons of its own, and our page in an iframe, both on another origin."""
    shown = "document.getElementById('state').textContent"
    tab.open(f"{product.demo['exampleUrl']}/headless")
    tab.click("#start")
    until(tab, f"{shown}.startsWith('You are talking to')")
    tab.click("#mute")
    tab.click("#end")
    until(tab, f"/^athos_call_.+ took \\d+ s/.test({shown})")
    tab.open(f"{product.demo['exampleUrl']}/embedded")
    tab.enter_frame()
    until(tab, state_is("ready"))
    tab.click("#start")
    until(tab, state_is("live"))
    until(tab, "document.getElementById('persona').dataset.speaking === 'true'")
    tab.click("#pause")
    until(tab, "!document.getElementById('paused').hidden")
    tab.click("#pause")
    until(tab, "document.getElementById('paused').hidden")
    tab.click("#end")
    until(tab, state_is("scoring"))


def state_is(state: str) -> str:
    return f"document.querySelector('[data-state=\"{state}\"]')?.hidden === false"
