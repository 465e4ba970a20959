"""Who has the floor, on a virtual clock: windows of 32 ms in, decisions out."""

import pytest

from calls.live.turns import (
    AskTurnModel,
    Hold,
    Interrupt,
    Patience,
    Prepare,
    RepPaused,
    RepStarted,
    Resume,
    Transcribe,
    TurnDropped,
    TurnEnded,
    TurnTaker,
    wait_for,
)
from calls.live.utterance import Ending

WINDOW = 0.032


class Talk:
    """Plays speech and silence into a TurnTaker and answers its questions."""

    def __init__(
        self,
        *,
        words: str | None = "Do you see a doctor?",
        verdict: float | None = 0.95,
        complete: float | None = None,
    ):
        self.turns = TurnTaker()
        self.now = 0.0
        self.words, self.verdict, self.complete = words, verdict, complete
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
                    if self.complete is not None:
                        self.turns.complete(decision.piece, decision.end, self.complete)
                if isinstance(decision, AskTurnModel) and self.verdict is not None:
                    self.turns.verdict(decision.question, self.verdict)
        return self

    def of(self, kind: type) -> list:
        return [decision for decision in self.all if isinstance(decision, kind)]


def test_a_question_over_by_melody_and_words_is_answered_soonest():
    talk = Talk(complete=0.9).speech(1.5).silence(1.5)
    (ended,) = talk.of(TurnEnded)
    assert ended.at - ended.end == pytest.approx(Patience().finished, abs=0.05)
    assert not ended.interrupting


def test_a_question_that_wants_more_words_is_waited_for():
    talk = Talk(words="What would happen?", complete=0.25).speech(1.5).silence(0.9)
    assert talk.of(TurnEnded) == []
    assert len(talk.silence(0.3).of(TurnEnded)) == 1


def test_what_is_known_of_words_that_went_on_does_not_count():
    talk = Talk(words="The plan I have in mind.", complete=0.9).speech(1.5).silence(0.3)
    (asked,) = talk.of(Transcribe)
    talk.complete = None
    talk.speech(1.0).silence(0.2)
    talk.turns.complete(asked.piece, asked.end, 0.9)
    assert talk.silence(0.45).of(TurnEnded) == []


def test_a_pause_after_words_that_want_more_makes_no_habit_of_closed_sentences():
    talk = Talk(words="The plan I have in mind.", complete=0.1).speech(1.5).silence(0.9)
    talk.words, talk.complete = "The plan I have in mind has no premium.", 0.9
    talk.speech(1.0).silence(2.0)
    (ended,) = talk.of(TurnEnded)
    assert ended.at - ended.end == pytest.approx(Patience().closed, abs=0.05)


def test_an_open_clause_is_waited_for():
    talk = Talk(words="I wanted to ask you about your", verdict=0.96).speech(1.5).silence(1.2)
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


def test_what_begins_as_surely_as_speech_need_not_go_on_so():
    talk = Talk(words="No.")
    for probability in (0.8, 0.4, 0.4):
        talk._run(WINDOW, probability)
    assert talk.of(RepStarted)
    unsure = Talk(words="No.")
    for probability in (0.4, 0.4, 0.8, 0.1):
        unsure._run(WINDOW, probability)
    assert not unsure.of(RepStarted)


def test_a_cough_is_no_turn():
    talk = Talk(words="").speech(0.2).silence(3.0)
    assert talk.of(TurnEnded) == []
    assert len(talk.of(TurnDropped)) == 1


def test_two_windows_of_noise_are_not_even_a_start():
    assert Talk().speech(2 * WINDOW).silence(1.0).all == []


def test_a_rep_who_pauses_long_is_waited_for_longer():
    quick = Talk(words="It is fine.").speech(1.0).silence(2.0).of(TurnEnded)[0]
    slow = Talk(words="It is fine.", verdict=0.1).speech(1.0).silence(0.8).speech(1.0)
    slow.verdict = 0.95
    late = slow.silence(2.0).of(TurnEnded)[0]
    assert (late.at - late.end) > (quick.at - quick.end) + 0.05


class TestOverThePersona:
    def _talk(self, words: str | None) -> Talk:
        talk = Talk(words=words)
        talk.turns.persona(speaking=True)
        return talk

    def test_speech_holds_the_persona_at_once(self):
        talk = self._talk("Hold on").speech(0.4)
        assert talk.of(Hold)[0].at <= 0.13

    def test_speech_that_lasts_takes_the_floor(self):
        talk = self._talk("But my doctor is not in it.").speech(1.5).silence(1.0)
        assert talk.of(Interrupt)[0].at < 0.85  # its words are looked at while it goes on
        assert talk.of(TurnEnded)[0].interrupting

    def test_speech_that_lasts_takes_the_floor_without_words_too(self):
        assert self._talk(None).speech(2.0).of(Interrupt)[0].at < 1.6

    def test_a_long_murmur_does_not(self):
        talk = self._talk("Mhm, yeah, okay, right.").speech(1.3).silence(0.6)
        assert talk.of(Interrupt) == [] and len(talk.of(Resume)) == 1

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

    @pytest.mark.parametrize("misheard", ["Hi.", "Have my...", "Wagon."])
    def test_a_short_murmur_that_was_misheard_is_still_one(self, misheard):
        talk = self._talk(misheard).speech(0.4).silence(0.6)
        assert len(talk.of(Resume)) == 1 and talk.of(Interrupt) == []

    @pytest.mark.parametrize("words", ["What?", "One moment.", "Why not?", "Hello?"])
    def test_so_do_two_words_that_ask_or_call(self, words):
        assert len(self._talk(words).speech(0.4).silence(0.6).of(Interrupt)) == 1

    def _answered_over_her_end(self, her_words: str, *, silence: float = 2.0) -> Talk:
        talk = self._talk("Yeah.")
        talk.turns.persona_says(her_words)
        talk.speech(0.4).silence(0.5)
        assert len(talk.of(Resume)) == 1
        talk.turns.persona(speaking=False)
        return talk.silence(silence)

    def test_what_is_said_over_the_end_of_her_question_answers_it(self):
        talk = self._answered_over_her_end("Is that in the plan?")
        (ended,) = talk.of(TurnEnded)
        assert ended.pieces == (0,) and not ended.interrupting and talk.of(TurnDropped) == []
        assert 0.9 + 0.6 < ended.at < 0.9 + 1.2  # counted from her end: more may come

    def test_and_goes_on_with_what_is_said_after_it(self):
        talk = self._answered_over_her_end("Is that in the plan?", silence=0.3)
        (ended,) = talk.speech(1.0).silence(1.5).of(TurnEnded)
        assert ended.pieces[0] == 0 and ended.end > 2.0

    def test_over_the_end_of_anything_else_it_only_listened(self):
        assert self._answered_over_her_end("That is in the plan.").of(TurnEnded) == []

    def test_and_so_did_a_murmur_long_before_the_end_of_a_question(self):
        talk = self._talk("Yeah.")
        talk.turns.persona_says("Is that in the plan?")
        talk.speech(0.4).silence(2.0)
        talk.turns.persona(speaking=False)
        assert talk.silence(2.0).of(TurnEnded) == []

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
        ("Are you happy with your plan?", 0.95, 0.4, 0.6),  # nobody looked at the words yet
        ("Are you happy with your plan?", 0.7, 0.4, 0.6),
        ("Are you happy with your plan?", 0.2, 0.5, 0.7),  # the words prove more than the melody
        ("Are you happy with your plan?", None, 0.5, 0.7),
        ("I am calling about your Medicare.", 0.9, 0.7, 0.85),
        ("I am calling about your Medicare.", 0.6, 0.7, 0.9),
        ("I am calling about your Medicare.", 0.2, 0.7, 0.9),
        ("If I could show you a plan.", 0.95, 0.9, 1.1),  # whatever the melody
        ("Okay.", 0.95, 0.7, 0.9),
        ("So what I", 0.95, 1.3, 2.0),
        ("Well, um", 0.9, 1.3, 2.0),
        ("My number is 5 5 5", 0.2, 1.0, 1.3),
        ("My number is 555.", 0.95, 0.9, 1.3),
        (None, None, 0.8, 1.1),
        (None, 0.9, 0.7, 0.9),
    ],
)
def test_the_wait_by_words_and_model(text, verdict, at_least, at_most):
    wait = wait_for(Patience(), verdict=verdict, text=text)
    assert at_least <= wait <= at_most


@pytest.mark.parametrize(
    ("text", "verdict", "complete", "wait"),
    [
        ("Are you happy with your plan?", 0.95, 0.8, 0.40),
        ("Are you happy with your plan?", 0.95, 0.6, 0.53),
        ("Are you happy with your plan?", 0.95, 0.45, 0.66),
        ("What would happen?", 0.95, 0.25, 0.98),
        ("It is in the network.", 0.95, 0.8, 0.46),
        ("It is in the network.", 0.30, 0.8, 0.72),
        ("It is in the network.", 0.95, 0.5, 0.80),
        ("The plan I have in mind.", 0.95, 0.1, 0.98),
        ("Well, um", 0.95, 0.9, 1.35),  # a filler stays one
        ("Okay.", 0.95, 0.9, 0.82),
    ],
)
def test_the_wait_by_what_the_words_want(text, verdict, complete, wait):
    found = wait_for(Patience(), verdict=verdict, text=text, complete=complete)
    assert found == pytest.approx(wait, abs=0.001)


def test_the_wait_grows_with_the_pauses_of_this_rep_after_such_words_and_no_others():
    own = {Ending.STATEMENT: 0.8}
    assert wait_for(Patience(), verdict=0.9, text="It is fine.", own_pauses=own) == pytest.approx(
        0.85
    )
    assert wait_for(Patience(), verdict=0.9, text="Is it fine?", own_pauses=own) < 0.6
    own = {Ending.STATEMENT: 2.5}
    assert wait_for(Patience(), verdict=0.9, text="It is fine.", own_pauses=own) <= 0.9


def test_an_answer_is_wanted_once_before_the_turn_ends_and_again_after_more_speech():
    talk = Talk(words="That is all.").speech(1.0).silence(0.4)
    (prepare,) = talk.of(Prepare)
    talk.speech(1.0).silence(1.0)
    first, second = talk.of(Prepare)
    (ended,) = talk.of(TurnEnded)
    assert first == prepare and second.pieces == ended.pieces and second.end == ended.end


def test_nothing_is_prepared_while_the_words_say_that_more_is_coming():
    assert Talk(words="And my", verdict=0.1).speech(1.0).silence(1.2).of(Prepare) == []


def test_a_pause_that_was_answered_too_early_is_waited_for_next_time():
    talk = Talk(words="That is all.").speech(1.0).silence(0.85)
    assert len(talk.of(TurnEnded)) == 1
    talk.speech(0.2)
    talk.turns.answered_too_early()
    talk.speech(0.8).silence(2.0)
    first, second = talk.of(TurnEnded)
    assert (second.at - second.end) > (first.at - first.end) + 0.05


class TestButton:
    def test_it_is_a_turn_while_it_is_pressed_and_over_when_it_is_let_go(self):
        talk = Talk(words="So, um,", verdict=0.1)
        talk.turns.button(pressed=True)
        talk.speech(0.5).silence(5.0)
        assert talk.of(TurnEnded) == []
        for decision in talk.turns.button(pressed=False):
            if isinstance(decision, Transcribe):
                talk.turns.words(decision.piece, decision.end, "So, um,")
        talk.silence(0.1)
        assert len(talk.of(TurnEnded)) == 1

    def test_speech_without_it_is_not_heard(self):
        talk = Talk()
        talk.turns.button(pressed=False)
        assert talk.speech(2.0).silence(2.0).all == []

    def test_it_takes_the_floor_at_once(self):
        talk = Talk()
        talk.turns.persona(speaking=True)
        talk.turns.button(pressed=True)
        talk.silence(0.1)
        assert len(talk.of(Interrupt)) == 1

    def test_without_it_the_rep_talks_freely_again(self):
        talk = Talk()
        talk.turns.button(pressed=False)
        talk.turns.button(pressed=None)
        assert len(talk.speech(1.0).silence(1.0).of(TurnEnded)) == 1


class TestEcho:
    def test_what_the_persona_says_does_not_stop_it(self):
        talk = Talk(words="my doctor is over on the east side")
        talk.turns.persona(speaking=True)
        talk.turns.persona_says("My doctor is over on the east side, and I see her often.")
        talk.speech(1.2).silence(1.0)
        assert talk.of(Interrupt) == talk.of(TurnEnded) == []
        assert len(talk.of(Resume)) == 1

    def test_nor_does_its_tail_make_a_turn(self):
        talk = Talk(words="and I see her often")
        talk.turns.persona(speaking=True)
        talk.turns.persona_says("My doctor is over on the east side, and I see her often.")
        talk.silence(1.0)
        talk.turns.persona(speaking=False)
        talk.speech(0.8).silence(2.0)
        assert talk.of(TurnEnded) == [] and len(talk.of(TurnDropped)) == 1

    def test_a_rep_who_says_it_again_later_is_answered(self):
        talk = Talk(words="You see her often?")
        talk.turns.persona_says("My doctor is over there, and I see her often.")
        talk.turns.persona(speaking=True)
        talk.turns.persona(speaking=False)
        assert len(talk.silence(1.0).speech(0.8).silence(2.0).of(TurnEnded)) == 1
