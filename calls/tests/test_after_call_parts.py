"""The pure parts of the work after a call: stitching, stretches, belief, lines, the MP3."""

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.after_call.belief import believed
from calls.after_call.hearing import untold_stretches
from calls.after_call.lines import Said, lines_make, spread
from calls.after_call.speech import (
    PIECE_SECONDS,
    Stretch,
    loud_stretches,
    pieces,
    quiet_moment,
    speech_stretches,
)
from calls.after_call.stereo import stereo_write
from calls.after_call.stitching import ChannelTape, PartRow
from calls.live.codec import encode_clip
from calls.live.recorder import Recorder
from calls.ports import Segment, Transcript, Word
from calls.tests.media import best_match, click_times, clicks, speechlike

RATE = 48_000


# --- stitching


class Shelf:
    """Parts of one channel, recorded by the real recorder, and the files they lie in."""

    def __init__(self):
        self.files, self.parts = {}, []

    def record(self, pcm, *, at=0.0, epoch=1):
        def keep(part):
            name = f"{epoch}-{part.number}"
            self.files[name] = part.data
            self.parts.append(PartRow(epoch, part.offset, part.duration, name))

        recorder = Recorder(keep)
        for number, packet in enumerate(encode_clip(pcm)):
            recorder.rep(at + number * 0.02, packet)
        recorder.close()
        return self

    def tape(self):
        return ChannelTape(self.parts, self.files.get)

    def sound(self, start, end):
        return np.concatenate(list(self.tape().sound(start, end)))


def test_any_stretch_of_a_channel_is_in_its_place():
    shelf = Shelf().record(clicks(23.0))
    whole = click_times(shelf.sound(0.0, 23.0))
    assert len(whole) == 46
    assert np.allclose(whole, [0.1 + 0.5 * n for n in range(46)], atol=0.012)
    later = click_times(shelf.sound(12.3, 17.0))
    assert np.allclose(later, [0.3 + 0.5 * n for n in range(9)], atol=0.012)


def test_a_stretch_is_exactly_as_long_as_asked_and_in_small_pieces():
    shelf = Shelf().record(speechlike(7.0), at=2.0)
    sizes = [len(piece) for piece in shelf.tape().sound(1.0, 33.333)]
    assert sum(sizes) == round(33.333 * RATE) - RATE
    assert max(sizes) < 2.1 * RATE


def test_lost_and_damaged_parts_are_silence_in_their_place(caplog):
    shelf = Shelf().record(clicks(20.0))
    del shelf.files["1-1"]
    shelf.files["1-2"] = shelf.files["1-2"][:-40]
    times = click_times(shelf.sound(0.0, 20.0))
    kept = [0.1 + 0.5 * n for n in range(40) if not 5.0 <= 0.1 + 0.5 * n < 15.0]
    assert np.allclose(times, kept, atol=0.012)
    assert [record.message for record in caplog.records] == ["recording_part_unreadable"] * 2
    assert shelf.tape().covered(4.0, 16.0) == 1.0  # rows tell what was recorded


def test_from_its_first_part_on_a_new_epoch_is_what_counts():
    old, new = speechlike(12.0, seed=1), speechlike(10.0, seed=2)
    shelf = Shelf().record(old, epoch=1).record(new, at=8.0, epoch=2)
    sound = shelf.sound(0.0, 18.0)
    for reference, second in ((old[RATE : 3 * RATE], 1.0), (new[RATE : 3 * RATE], 9.0)):
        place, likeness = best_match(reference, sound)
        assert likeness > 0.8 and abs(place / RATE - second) < 0.02
    assert best_match(old[9 * RATE : 11 * RATE], sound)[1] < 0.3


def test_a_call_without_any_part_is_silence():
    assert not ChannelTape((), {}.get).covered(0, 5)
    assert not np.concatenate(list(ChannelTape((), {}.get).sound(0.0, 3.0))).any()


# --- the stereo file


def test_the_stereo_file_keeps_both_channels_in_place_and_seconds_are_bytes():
    left, right = speechlike(31.3, seed=3), speechlike(20.0, seed=4)
    file = io.BytesIO()
    cut = lambda pcm, n: iter([pcm[i : i + n] for i in range(0, len(pcm), n)])  # noqa: E731
    seconds = stereo_write(cut(left, 960), cut(right, 7001), file, between=lambda: None)
    assert seconds == pytest.approx(31.3, abs=0.025)
    assert len(file.getvalue()) == round(8000 * seconds)
    decoded = av.open(io.BytesIO(file.getvalue()), format="mp3").decode(audio=0)
    sound = np.concatenate([frame.to_ndarray() for frame in decoded], axis=1)
    for side, source in ((0, left), (1, right)):
        for begin in (0, 15):
            reference = source[begin * RATE : (begin + 3) * RATE : 2]
            place, likeness = best_match(reference, sound[side])
            assert likeness > 0.9 and abs(place - begin * RATE // 2) < 24  # one millisecond
    assert np.abs(sound[1][21 * RATE // 2 :]).max() < 0.01


@pytest.mark.parametrize("seconds", [0.01, 0.024, 1.0, 1.001])
def test_short_calls_are_whole_frames(seconds):
    file = io.BytesIO()
    sound = [speechlike(seconds)]
    length = stereo_write(iter(sound), iter([]), file, between=lambda: None)
    assert seconds <= length < seconds + 0.025
    assert len(file.getvalue()) == round(8000 * length)


# --- speech


def chances(*spans, seconds):
    values = np.zeros(round(seconds / 0.032))
    for start, end in spans:
        values[round(start / 0.032) : round(end / 0.032)] = 0.9
    return list(values)


def test_speech_is_what_the_detector_is_sure_of_over_small_gaps():
    found = speech_stretches(chances((1, 2), (2.2, 3), (5, 5.05), (7, 9), seconds=9), start=100)
    assert [(round(s.start, 1), round(s.end, 1)) for s in found] == [(101, 103), (107, 109)]
    assert speech_stretches([0.3] * 1000) == []


def test_the_personas_voice_is_found_to_a_hundredth():
    sound = np.zeros(3 * 16_000, np.int16)
    sound[16_000:24_000] = 3000
    (found,) = loud_stretches(sound, rate=16_000, start=10)
    assert (found.start, found.end) == pytest.approx((11.0, 11.5), abs=0.011)
    assert loud_stretches(np.zeros(0, np.int16), rate=16_000) == []


def test_a_chunk_is_cut_in_its_longest_pause():
    speech = [Stretch(0, 275), Stretch(276, 280), Stretch(290, 299)]
    assert quiet_moment(speech, start=270, end=300) == 285
    assert quiet_moment([Stretch(0, 400)], start=270, end=300) == 300


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0.31, 20), st.floats(0.1, 70)), max_size=8))
def test_pieces_hold_all_speech_once_and_fit_the_recogniser(spans):
    """Every sample says at which tenth of a second it lies, so what is taken can be read."""
    at, speech = 0.0, []
    for pause, length in spans:
        speech.append(Stretch(at + pause, at + pause + length))
        at = speech[-1].end
    pcm = (np.arange(round(at * 16_000)) // 1600 + 1).astype(np.int16)
    made = list(pieces(pcm, speech, start=0.0))
    assert all(len(piece.pcm) <= (PIECE_SECONDS + 0.01) * 16_000 for piece in made)
    for stretch in speech:
        for moment in np.linspace(stretch.start + 0.01, stretch.end - 0.01, 5):
            inside = [p for p in made if p.start <= moment < p.start + len(p.pcm) / 16_000]
            assert len(inside) == 1
            there = inside[0].pcm[int((moment - inside[0].start) * 16_000)]
            assert abs(there - (moment * 10 + 1)) < 1.1


def test_a_word_over_a_pause_is_held_to_where_somebody_speaks():
    (piece,) = pieces(np.zeros(160_000, np.int16), [Stretch(2, 3), Stretch(3.9, 5)], start=0.0)
    assert piece.start == pytest.approx(1.8)
    assert piece.placed(1.0, 2.0) == pytest.approx((2.8, 3.1))
    assert piece.placed(0.0, 0.4) == pytest.approx((1.9, 2.2))


# --- belief


def heard(text, *, log_probability=-0.2, no_speech=0.01, sure=0.9, seconds=None, hints=()):
    """What is believed of one segment over one stretch of speech that begins at second 10."""
    words = text.split()
    seconds = seconds or max(0.4 * len(words), 0.3)
    (piece,) = pieces(
        np.zeros(60 * 16_000, np.int16), [Stretch(10.0, 10.0 + seconds, sure)], start=0.0
    )
    timed = tuple(
        Word(word, 0.2 + n * seconds / len(words), 0.2 + (n + 1) * seconds / len(words), 0.9)
        for n, word in enumerate(words)
    )
    segment = Segment(text, 0.2, 0.2 + seconds, log_probability, no_speech)
    return believed(Transcript(text, timed, log_probability, (segment,)), piece, hints=hints)


def test_clear_speech_is_believed_at_its_time_in_the_call():
    words = heard("Good morning, Carol.")
    assert [word.text for word in words] == ["Good", "morning,", "Carol."]
    assert words[0].start == pytest.approx(10.0, abs=0.01)
    assert words[-1].end == pytest.approx(11.2, abs=0.01)


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "Thank you for watching!", "sure": 0.55},
        {"text": "Thank you.", "log_probability": -1.18},
        {"text": "Mm.", "sure": 0.55},
        {"text": "I think so too.", "no_speech": 0.8, "log_probability": -0.9},
        {"text": "Whatever it was.", "log_probability": -1.6},
        {"text": "no no no no " * 20, "seconds": 12.0},
        {"text": "All of these words in no time at all, said by nobody.", "seconds": 0.4},
        {"text": "Carol Whitaker, Eliquis", "hints": ["Carol Whitaker", "Eliquis"], "sure": 0.6},
    ],
)
def test_what_nobody_said_is_not_believed(answer):
    assert heard(answer.pop("text"), **answer) == []


@pytest.mark.parametrize("text", ["Thank you.", "Bye.", "Okay.", "No, no, no."])
def test_short_polite_words_clearly_spoken_are_believed(text):
    assert heard(text, log_probability=-0.95)


# --- lines


def word(text, start, end=None):
    return Word(text, start, end or start + 0.3, 0.9)


def texts(lines):
    return [(line.role, line.text) for line in lines]


def make(rep=(), persona=(), voiced=(), untold=(), unrecorded=()):
    return lines_make(
        rep=rep,
        rep_unrecorded=unrecorded,
        persona=persona,
        persona_voiced=voiced,
        persona_untold=untold,
    )


def test_a_murmur_over_the_persona_is_a_line_of_its_own():
    lines = make(
        rep=[word("Hello.", 0), word("Mm-hm.", 6), word("Good.", 11)],
        persona=[Said("I have had this plan for years and like it", 2, 10)],
        voiced=[Stretch(2, 10)],
    )
    assert texts(lines) == [
        ("user", "Hello."),
        ("assistant", "I have had this plan for years and like it"),
        ("user", "Mm-hm."),
        ("user", "Good."),
    ]


def test_the_reps_thinking_pause_does_not_cut_the_line():
    rep = [word("Well,", 0), word("I", 2.5), word("see.", 3)]
    assert texts(make(rep=rep)) == [("user", "Well, I see.")]
    assert len(make(rep=[word("Well.", 0), word("Anyway.", 5)])) == 2


def test_the_personas_words_lie_where_it_sounds():
    (line,) = make(
        persona=[Said("one two three four", 10, 20)], voiced=[Stretch(11, 12), Stretch(15, 16)]
    )
    assert [w.text for w in line.words] == ["one", "two", "three", "four"]
    assert (line.start, line.end) == pytest.approx((11, 16))
    assert all(w.end <= 12 or w.start >= 15 for w in line.words)


def test_an_interrupted_line_keeps_to_what_was_heard():
    (line,) = make(persona=[Said("what was heard", 1, 3, interrupted=True)], voiced=[Stretch(1, 9)])
    assert line.interrupted and line.end == 3


def test_the_loudspeaker_in_the_microphone_is_no_line_but_a_repeat_is():
    persona = [Said("the premium is zero dollars", 0, 2.5)]
    voiced = [Stretch(0, 2.5)]
    said = ["the", "premium", "is", "zero", "dollars"]
    echo = [word(text, 0.2 + 0.5 * n) for n, text in enumerate(said)]
    assert texts(make(rep=echo, persona=persona, voiced=voiced)) == [
        ("assistant", "the premium is zero dollars")
    ]
    repeat = [word(text, 2.7 + 0.5 * n) for n, text in enumerate(said)]
    assert len(make(rep=repeat, persona=persona, voiced=voiced)) == 2


def test_what_only_the_live_call_understood_is_kept_and_what_no_turn_tells_is_heard():
    lines = make(
        unrecorded=[Said("I was not recorded", 5, 7)],
        untold=[word("Nor", 8), word("written", 8.4)],
    )
    assert texts(lines) == [("user", "I was not recorded"), ("assistant", "Nor written")]


def test_the_personas_sound_without_a_turn_is_found():
    told = [Said("Hello", 1, 2)]
    voiced = [Stretch(1, 2), Stretch(2.3, 2.6), Stretch(9, 11), Stretch(12, 12.2)]
    assert untold_stretches(voiced, told) == [Stretch(9, 11)]


@given(
    st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1, max_size=30),
    st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)), min_size=1, max_size=6),
)
def test_spread_words_are_in_order_and_inside(said, spans):
    at, sounding = 0.0, []
    for pause, length in spans:
        sounding.append(Stretch(at + pause, at + pause + length))
        at = sounding[-1].end
    words = spread(" ".join(said), sounding)
    times = [round(time, 6) for w in words for time in (w.start, w.end)]
    assert [w.text for w in words] == said
    assert times == sorted(times)
    assert sounding[0].start <= words[0].start and words[-1].end <= sounding[-1].end
