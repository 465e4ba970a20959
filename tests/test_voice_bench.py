"""The judge of the conversation bench, on sounds of which the truth is known."""

import numpy as np
import pytest

from bench.voice.judge import RATE, Said, judged
from bench.voice.rivals import SilenceOnly, TurnModelOnly
from bench.voice.speaker import _start_of, _words
from bench.voice.takes import Take, _order
from calls.live.turns import AskTurnModel, TurnEnded


def tone(seconds):
    return (6000 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)).astype(
        np.int16
    )


def line(seconds, *sounds):
    """Silence with tones in it: (from, to) in seconds; a third value says over what it fades."""
    pcm = np.zeros(round(seconds * RATE), np.int16)
    for start, end, *fade in sounds:
        sound = tone(end - start)
        if fade:
            size = round(fade[0] * RATE)
            sound[-size:] = sound[-size:] * np.linspace(1, 0, size)
        pcm[round(start * RATE) :][: len(sound)] = sound
    return pcm


def take(expected="answer", over=None, echo=None):
    sound = tone(1.0).astype(np.float32) / 32768
    return Take("plain", "", False, expected, sound, ((0.0, 1.0),), over_persona=over, echo=echo)


def verdict(of, *persona, begin=2.0):
    (found,) = judged([Said(of, begin)], line(16, (begin, begin + 1)), line(16, *persona))
    return found


def test_an_answer_is_timed_from_the_last_sound_to_the_sound_that_lasts():
    found = verdict(take(), (3.3, 3.35), (4.0, 6.0))
    assert found.first_sound == pytest.approx(0.3, abs=0.011)
    assert found.mouth_to_ear == pytest.approx(1.0, abs=0.011)
    assert not found.cut_off and not found.missed


def test_an_answer_before_the_last_sound_is_a_cut_off():
    assert verdict(take(), (2.6, 4.0)).cut_off


def test_no_answer_within_ten_seconds_is_a_missed_end():
    assert verdict(take(), (13.5, 15.0)).missed


def test_a_persona_cut_in_a_sound_has_stopped():
    found = verdict(take("stop", over=1.0), (1.0, 2.25), (4.0, 6.0))
    assert found.overlapped
    assert found.stop == pytest.approx(0.25, abs=0.011)


def test_a_persona_who_speaks_on_has_not_stopped():
    found = verdict(take("stop", over=1.0), (1.0, 9.0))
    assert found.overlapped and found.stop is None


def test_a_pause_for_a_murmur_is_told_from_a_stop():
    murmur = take("nothing", over=1.0)
    assert verdict(murmur, (1.0, 9.0)).false_stop == ""
    assert verdict(murmur, (1.0, 2.4), (3.2, 9.0)).false_stop == "paused"
    assert verdict(murmur, (1.0, 2.4)).false_stop == "stopped"


def test_an_answer_to_a_cough_is_told():
    assert verdict(take("nothing"), (3.5, 5.0)).answered_nothing
    assert not verdict(take("nothing")).answered_nothing


def test_her_own_echo_that_pauses_her_is_told():
    echoed = take(echo=(-20.0, 0.1))
    assert verdict(echoed, (3.5, 9.0, 0.3)).false_stop == ""
    assert verdict(echoed, (3.5, 5.0), (5.8, 9.0, 0.3)).false_stop == "paused"


def test_a_line_that_ends_by_itself_is_no_stop():
    found = verdict(take("stop", over=1.0), (1.0, 2.4, 0.3))
    assert not found.overlapped and found.stop is None


def test_a_silent_microphone_is_no_turn():
    with pytest.raises(ValueError, match="silent"):
        judged([Said(take(), 2.0)], line(16), line(16))


def decisions(rule, speech, until=8.0, verdict=None):
    """What a rule decides of speech in these spans, the turn model always answering so."""
    told = []
    for step in range(round(until / 0.032)):
        at = 0.032 * (step + 1)
        found = rule.window(at, 0.9 if any(a < at <= b for a, b in speech) else 0.1)
        told += found
        for asked in found:
            if isinstance(asked, AskTurnModel):
                rule.verdict(asked.question, verdict)
    return [d.at for d in told if isinstance(d, TurnEnded)]


def test_the_rivals_wait_as_their_names_say():
    speech = [(1.0, 2.0), (2.5, 3.0)]
    assert decisions(SilenceOnly(0.3), speech) == pytest.approx([2.3, 3.3], abs=0.07)
    assert decisions(SilenceOnly(1.0), speech) == pytest.approx([4.0], abs=0.07)
    assert decisions(TurnModelOnly(0.2, 3.0), speech, verdict=0.9)[0] == pytest.approx(2.2, abs=0.1)
    assert decisions(TurnModelOnly(0.2, 3.0), speech, verdict=0.1) == pytest.approx([6.0], abs=0.1)


def test_a_word_is_found_among_phonemes_whatever_marks_stand_between():
    phonemes = "ðə plˈæn — hæz nˈO, ænd ðˈæts ˈɔl."
    assert _words("The plan — has no, and that's all.") == _words(phonemes) == 7
    assert phonemes[_start_of(phonemes, 2) :].startswith("hæz")
    assert phonemes[_start_of(phonemes, 4) :].startswith("ænd")
    with pytest.raises(ValueError, match="not as many"):
        _start_of(phonemes, 7)


def test_a_script_holds_each_kind_by_its_weight():
    order = _order(np.random.default_rng(1), 205, ("pause", "plain"))
    assert len(order) == 205
    assert order.count("pause") == pytest.approx(2 * order.count("plain"), abs=2)
