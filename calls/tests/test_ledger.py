"""The ledger of a call: what is measured of a turn, gathered of a call, and told of a tenant."""

import io
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from calls.history.latency import call_latency, tenant_latency
from calls.history.listing import Reader
from calls.live.codec import OpusDecoder, encode_clip
from calls.live.ledger import Overlaps, first_sound, leading_silence
from calls.models import Turn
from calls.services import ledger
from calls.services.ledger import figures_of, ledger_keep
from calls.tests.making import make_drill, make_integrator
from calls.tests.making_calls import make_call
from calls.tests.test_call_pages import manager_of
from tenants.isolation import tenant_scope


def tone(seconds, rate=48_000, level=8000):
    return (level * np.sin(np.arange(int(seconds * rate)) * 0.05)).astype(np.int16)


# --- pure ---------------------------------------------------------------------------------------


def test_the_first_sound_is_found_to_a_hundredth_of_a_second():
    hush = np.full(1600, 20, np.int16)  # -64 dBFS
    assert first_sound(np.concatenate([hush, tone(0.1, 16_000)]), 16_000) == pytest.approx(0.1)
    assert first_sound(hush, 16_000) is None
    assert first_sound(np.empty(0, np.int16), 16_000) is None


@pytest.mark.parametrize("silence", [0.0, 0.1, 0.3])
def test_silence_at_the_head_of_an_encoded_line_is_found_again(silence):
    pcm = np.concatenate([np.zeros(int(silence * 48_000), np.int16), tone(0.5)])
    found = leading_silence(encode_clip(pcm), OpusDecoder().decode)
    assert found == pytest.approx(silence, abs=0.021)  # the codec smears a few milliseconds


def test_a_line_without_any_sound_is_all_silence():
    packets = encode_clip(np.zeros(24_000, np.int16))
    assert leading_silence(packets, OpusDecoder().decode) == pytest.approx(0.02 * len(packets))
    assert leading_silence([], OpusDecoder().decode) == 0.0


def test_a_barge_in_is_measured_to_the_first_silence_not_to_the_decision():
    overlaps = Overlaps(began_at=10.0)
    overlaps.silenced(10.2)
    overlaps.interrupted(10.8)
    assert overlaps.figures() == {"barge_in": pytest.approx(200.0)}


def test_a_stop_for_nothing_is_counted_and_does_not_count_as_a_barge_in():
    overlaps = Overlaps(began_at=10.0)
    overlaps.silenced(10.2)
    overlaps.let_pass()
    assert overlaps.figures() == {"false_stops": 1.0}
    overlaps.let_pass()  # it was speaking all the time
    overlaps.began_at = 12.0
    overlaps.interrupted(12.3)
    assert overlaps.figures() == {"false_stops": 1.0, "barge_in": pytest.approx(300.0)}


TURNS = [
    ("assistant", {}),
    ("user", {"decided": 400.0}),
    ("assistant", {"total": 600.0, "mouth_to_ear": 612.4, "barge_in": 231.0}),
    ("user", {"decided": 2600.0, "cut_off": 1.0}),
    ("assistant", {"mouth_to_ear": -3.0, "false_stops": 2.0}),
]


def test_a_calls_turns_become_figures():
    figures = figures_of(TURNS)
    assert figures.answers_ms == [612, 0]
    assert figures.barge_ins_ms == [231]
    counts = (figures.rep_turns, figures.cut_offs, figures.missed_ends, figures.false_stops)
    assert counts == (2, 1, 1, 2)


def test_an_endless_call_has_a_bounded_ledger(monkeypatch):
    monkeypatch.setattr(ledger, "MOST", 3)
    assert len(figures_of(TURNS * 4).answers_ms) == 3


# --- kept and read ------------------------------------------------------------------------------


@pytest.fixture
def acme(db):
    make_drill()
    return make_integrator("Acme")


def call_with(integrator, answers, **fields):
    call = make_call(integrator.tenant, **fields)
    with tenant_scope(call.tenant_id):
        Turn.objects.bulk_create(
            Turn(
                tenant_id=call.tenant_id,
                call=call,
                number=number,
                role=role,
                text="x",
                start_time=number,
                end_time=number + 1,
                epoch=1,
                latency=latency,
            )
            for number, (role, latency) in enumerate(
                [
                    ("user", {"decided": 300.0}),
                    *(("assistant", {"mouth_to_ear": a}) for a in answers),
                ]
            )
        )
        ledger_keep(call=call)
        ledger_keep(call=call)  # running twice changes nothing
    return call


def test_one_call_and_all_of_a_tenant(acme):
    stranger = make_integrator("Stranger")
    call_with(stranger, [9000.0])
    call = call_with(acme, [500.0, 700.0])
    call_with(acme, [900.0])
    one = call_latency(reader=Reader(acme.tenant.pk), call_id=call.pk)
    assert (one.answer.number, one.answer.p50, one.answer.p95) == (2, 600.0, 690.0)
    assert one.barge_in.p50 is None and one.rep_turns == 1
    every = tenant_latency(reader=Reader(acme.tenant.pk))
    assert (every.calls, every.answer.number, every.answer.p50) == (2, 3, 700.0)
    assert call_latency(reader=Reader(stranger.tenant.pk), call_id=call.pk) is None


def test_who_is_limited_to_agencies_is_told_of_theirs_only(acme):
    call_with(acme, [500.0], agency="one")
    two = call_with(acme, [900.0], agency="two")
    reader = Reader(acme.tenant.pk, (two.agency_id,))
    assert tenant_latency(reader=reader).answer.p50 == 900.0


def test_test_calls_and_other_times_are_left_out(acme):
    call_with(acme, [900.0], mode="test")
    call_with(acme, [500.0])
    reader, now = Reader(acme.tenant.pk), timezone.now()
    assert tenant_latency(reader=reader).answer.number == 1
    assert tenant_latency(reader=reader, until=now - timedelta(hours=1)).calls == 0
    assert tenant_latency(reader=reader, since=now - timedelta(hours=1)).calls == 1


def test_a_manager_sees_how_the_call_went(acme):
    call = call_with(acme, [500.0, 700.0])
    page = manager_of(acme).get(f"/calls/{call.public_id}")
    assert "0.60 s, at most 0.69 s in 95 %" in page.text and "Stopped for nothing" in page.text
    assert (
        "Conversation"
        not in manager_of(acme).get(f"/calls/{make_call(acme.tenant).public_id}").text
    )


def test_an_operator_is_told_of_a_tenant(acme):
    call_with(acme, [500.0, 700.0])
    call_with(make_integrator("Stranger"), [9000.0])
    told = io.StringIO()
    call_command("latency", str(acme.tenant.pk), stdout=told)
    assert "mouth to ear  p50 600 ms, p95 690 ms of 2" in told.getvalue()
    assert "barge-in      none" in told.getvalue()
    with pytest.raises(CommandError):
        call_command("latency", "nobody@example.com")
