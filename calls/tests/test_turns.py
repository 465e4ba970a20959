"""Who has the floor, on a virtual clock: windows of 32 ms in, decisions out."""

import pytest

from calls.live.turns import (
    AskTurnModel,
    Hold,
    Interrupt,
    Patience,
    RepPaused,
    RepStarted,
    Resume,
    Transcribe,
    TurnDropped,
    TurnEnded,
    TurnTaker,
    is_backchannel,
    takes_floor,
    wait_for,
)

WINDOW = 0.032


class Talk:
    """Plays speech and silence into a TurnTaker and answers its questions."""

    def __init__(self, *, words: str | None = "Do you see a doctor?", verdict: float | None = 0.95):
        self.turns = TurnTaker()
        self.now = 0.0
        self.words, self.verdict = words, verdict
        self.all: list[object] = []

    def speech(self, seconds: float) -> "Talk":
        return self._run(seconds, 0.95)

    def silence(self, seconds: float) -> "Talk":
        return self._run(seconds, 0.02)

    def _run(self, seconds: float, probability: float) -> "Talk":
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += WINDOW
            decisions = self.turns.window(self.now, probability)
            self.all += decisions
            for decision in decisions:
                if isinstance(decision, Transcribe) and self.words is not None:
                    self.turns.words(decision.piece, decision.end, self.words)
                if isinstance(decision, AskTurnModel) and self.verdict is not None:
                    self.turns.verdict(decision.question, self.verdict)
        return self

    def of(self, kind: type) -> list:
        return [decision for decision in self.all if isinstance(decision, kind)]


def test_a_finished_question_is_answered_after_a_third_of_a_second():
    talk = Talk().speech(1.5).silence(1.5)
    (ended,) = talk.of(TurnEnded)
    assert ended.at - ended.end == pytest.approx(Patience().finished, abs=0.05)
    assert not ended.interrupting


def test_an_open_clause_is_waited_for():
    talk = Talk(words="I wanted to ask you about your", verdict=0.96).speech(1.5).silence(1.5)
    assert talk.of(TurnEnded) == []
    assert len(talk.silence(1.0).of(TurnEnded)) == 1


def test_speech_after_a_pause_goes_on_with_the_same_turn():
    talk = Talk(words="My plan is, um,", verdict=0.1).speech(1.0).silence(0.6).speech(1.0)
    talk.words, talk.verdict = "My plan is, um, very cheap.", 0.97
    talk.silence(2.0)
    assert len(talk.of(TurnEnded)) == 1
    assert talk.of(TurnEnded)[0].start < 0.1
    assert [type(d) for d in talk.all if isinstance(d, RepStarted | RepPaused)] == [
        *(RepStarted, RepPaused, RepStarted, RepPaused)
    ]


def test_stale_words_do_not_end_a_turn_that_went_on():
    talk = Talk(words=None).speech(1.0).silence(0.25).speech(1.0).silence(0.2)
    first, second = talk.of(Transcribe)
    talk.turns.words(first.piece, first.end, "Done.")
    assert talk.turns.window(talk.now + WINDOW, 0.0) == [] or not talk.of(TurnEnded)
    assert second.end > first.end


def test_a_long_turn_is_recognised_in_pieces_and_ends_as_one():
    talk = Talk(words="and then", verdict=0.1).speech(3.0).silence(0.4).speech(3.0).silence(0.4)
    talk.words, talk.verdict = "That is all.", 0.99
    talk.speech(2.0).silence(1.0)
    (ended,) = talk.of(TurnEnded)
    assert len(ended.pieces) == 3
    starts = [t.start for t in talk.of(Transcribe)]
    assert starts == sorted(starts)


def test_speech_without_a_pause_is_cut_before_whisper_overflows():
    talk = Talk(words="on and on").speech(60.0)
    assert len(talk.of(Transcribe)) == 2
    assert all(t.end - t.start <= 26 for t in talk.of(Transcribe))


def test_a_cough_is_no_turn():
    talk = Talk(words="").speech(0.2).silence(3.0)
    assert talk.of(TurnEnded) == []
    assert len(talk.of(TurnDropped)) == 1


def test_two_windows_of_noise_are_not_even_a_start():
    assert Talk().speech(2 * WINDOW).silence(1.0).all == []


def test_a_rep_who_pauses_long_is_waited_for_longer():
    quick = Talk(words="Fine", verdict=0.7).speech(1.0).silence(2.0).of(TurnEnded)[0]
    slow = Talk(words="and um", verdict=0.1).speech(1.0).silence(0.8).speech(1.0)
    slow.words, slow.verdict = "Fine", 0.7
    late = slow.silence(2.0).of(TurnEnded)[0]
    assert (late.at - late.end) > (quick.at - quick.end) + 0.15


class TestOverThePersona:
    def _talk(self, words: str | None) -> Talk:
        talk = Talk(words=words)
        talk.turns.persona(speaking=True)
        return talk

    def test_speech_holds_the_persona_within_a_quarter_of_a_second(self):
        talk = self._talk("Hold on").speech(0.4)
        assert talk.of(Hold)[0].at <= 0.25

    def test_speech_that_lasts_takes_the_floor(self):
        talk = self._talk("But my doctor is not in it.").speech(1.5).silence(1.0)
        assert talk.of(Interrupt)[0].at < 0.85
        assert talk.of(TurnEnded)[0].interrupting

    @pytest.mark.parametrize("murmur", ["Mhm.", "Right.", "Okay.", "Yeah, okay."])
    def test_a_murmur_lets_it_go_on(self, murmur):
        talk = self._talk(murmur).speech(0.4).silence(0.6)
        assert len(talk.of(Hold)) == len(talk.of(Resume)) == 1
        assert talk.of(Interrupt) == talk.of(TurnEnded) == []

    @pytest.mark.parametrize("word", ["Wait.", "Stop.", "No."])
    def test_one_word_can_take_the_floor(self, word):
        talk = self._talk(word).speech(0.4).silence(1.5)
        assert len(talk.of(Interrupt)) == 1
        assert talk.of(TurnEnded)[0].interrupting

    def test_a_cough_lets_it_go_on(self):
        talk = self._talk("").speech(0.3).silence(0.6)
        assert len(talk.of(Resume)) == 1

    def test_without_words_in_time_it_goes_on(self):
        talk = self._talk(None).speech(0.3).silence(1.5)
        assert len(talk.of(Resume)) == 1
        assert talk.of(Interrupt) == []


@pytest.mark.parametrize(
    ("text", "verdict", "at_least", "at_most"),
    [
        ("Are you happy with your plan?", 0.95, 0.25, 0.35),
        ("I am calling about your Medicare.", 0.9, 0.25, 0.35),
        ("So what I", 0.95, 1.5, 2.0),
        ("Well, um", 0.9, 1.5, 2.0),
        ("My number is 5 5 5", 0.2, 1.0, 1.3),
        (None, None, 0.9, 1.1),
        (None, 0.9, 0.4, 0.6),
    ],
)
def test_the_wait_by_words_and_model(text, verdict, at_least, at_most):
    wait = wait_for(Patience(), verdict=verdict, text=text, own_pause=0.0)
    assert at_least <= wait <= at_most


def test_words_that_only_listen_and_words_that_stop():
    assert is_backchannel("Mm-hmm.") and is_backchannel("Okay, right.") and is_backchannel("")
    assert not is_backchannel("Okay, but what about my doctor")
    assert takes_floor("Wait, what?") and takes_floor("No") and not takes_floor("I know that")
