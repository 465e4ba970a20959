"""Who has the floor: pure decisions over times, speech probabilities and words.

No clock, no audio, no I/O: everything comes in as an argument with its time (seconds of the call)
and what should be done comes back as a list of decisions. The rule in one paragraph: speech is what
the detector says with hysteresis. After 120 ms of silence the words so far are wanted, after 200 ms
the turn model is asked; the turn ends when the silence has lasted as long as the words and the
model together make us wait, between 0.4 s for a question and 1.8 s for "well, um". A rep who pauses
long after such words is waited for longer. Speech over the persona silences it at once and becomes
an interruption when it lasts or says something; otherwise the persona goes on where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from calls.live.utterance import (
    Ending,
    ending_of,
    is_backchannel,
    repeats,
    says_little,
    takes_floor,
)

# --- what comes out ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RepStarted:
    at: float


@dataclass(frozen=True, slots=True)
class RepPaused:
    at: float


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Recognise this stretch. A later request for the same piece replaces it."""

    piece: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class AskTurnModel:
    """Is the turn that started at `start` over, judging by its sound up to `at`?"""

    question: int
    start: float
    at: float


@dataclass(frozen=True, slots=True)
class Prepare:
    """The turn will soon be over unless the rep goes on: an answer may be made, not yet said."""

    start: float
    end: float  # of the last speech the detector heard
    pieces: tuple[int, ...]
    interrupting: bool


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The rep is done: `pieces` in order hold the words."""

    start: float
    end: float  # end of the last speech the detector heard
    at: float  # when this was decided
    pieces: tuple[int, ...]
    interrupting: bool
    verdict: float | None  # what the turn model said, if it answered in time
    own_pause: float  # how long this rep pauses inside turns, as known by now


@dataclass(frozen=True, slots=True)
class TurnDropped:
    """It was noise or a murmur: nothing to answer."""

    at: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody speaks over the persona: silence it, keep its place."""

    at: float


@dataclass(frozen=True, slots=True)
class Resume:
    """It was nothing: go on where it was."""

    at: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The rep takes the floor: what the persona had still to say is gone."""

    at: float


Decision = (
    RepStarted
    | RepPaused
    | Transcribe
    | AskTurnModel
    | Prepare
    | TurnEnded
    | TurnDropped
    | Hold
    | Resume
    | Interrupt
)

# --- how long to wait ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits in seconds of silence, tuned with `python -m bench.voice.offline`.

    Those that end a turn are scaled by the curve of the bench; the whole table is `wait_for`.
    """

    finished: float = 0.40  # a question that is over by its melody and its words
    likely: float = 0.66  # a question that is not
    closed: float = 0.46  # a closed sentence, over by both
    doubted: float = 0.72  # ... by its words alone
    statement: float = 0.80  # ... by its melody alone
    unsure: float = 0.98  # a sentence whose words want more
    open_clause: float = 1.80  # "and my", "well, um"
    unknown: float = 0.90  # no verdict from the model in time
    words_after: float = 0.12  # ask for the words
    model_after: float = 0.20  # ask the turn model
    prepare_ahead: float = 0.40  # before the end: an answer may be prepared
    split_after: float = 0.25  # a pause this long closes a piece of a long turn
    split_from: float = 1.5  # ... that is at least this long
    longest_piece: float = 24.0  # Whisper hears 30 s at most
    words_within: float = 5.5  # then they will not come
    hold_after: float = 0.09  # speech over the persona silences it
    judge_after: float = 0.60  # ... and its words are looked at, though it goes on
    interrupt_after: float = 1.50  # ... and takes the floor whatever it says
    murmur_until: float = 0.6  # seconds of speech; more is no murmur, whatever the words
    murmur_within: float = 1.0  # silence over the held persona in which the words must come


SURE, LIKELY = 0.85, 0.5  # what the turn model says of the melody, and how far it is believed
# The same of the words: below the first they want more (`SentenceModel`).
INCOMPLETE, HALF, COMPLETE = 0.4, 0.5, 0.68
_OWN_MOST = {Ending.QUESTION: 0.55, Ending.CLOSED: 0.9, Ending.STATEMENT: 0.9, Ending.OPENER: 0.9}


def wait_for(
    patience: Patience,
    *,
    verdict: float | None,
    text: str | None,
    complete: float | None = None,
    own_pauses: Mapping[Ending, float] | None = None,
) -> float:
    """Seconds of silence after which the turn is over.

    `verdict` is the model's probability that it is over, `text` the words so far, `complete` the
    chance that a sentence is over behind them, each None while unknown. `own_pauses` is how long
    this rep has been seen to pause after words that end so.
    """
    ending = ending_with(text, complete) if text else Ending.NEUTRAL
    wait = _wait(patience, ending, verdict, complete)
    own = (own_pauses or {}).get(ending, 0.0)
    return max(wait, min(own + 0.05, _OWN_MOST.get(ending, patience.unsure))) if own else wait


def ending_with(text: str, complete: float | None) -> Ending:
    """How the words stop, by the chance that a sentence is over behind them where it is known."""
    ending = ending_of(text)
    if complete is None or ending not in {Ending.STATEMENT, Ending.QUESTION}:
        return ending
    if complete < INCOMPLETE:
        return Ending.CLAUSE
    return Ending.CLOSED if ending is Ending.STATEMENT and complete >= COMPLETE else ending


def _wait(
    patience: Patience, ending: Ending, verdict: float | None, complete: float | None
) -> float:
    sounds_over = verdict is not None and verdict >= SURE
    if ending is Ending.OPEN:
        return 0.75 * patience.open_clause if sounds_over else patience.open_clause
    if ending is Ending.CLAUSE:
        return patience.unsure
    if ending is Ending.DICTATING:
        return patience.unsure if sounds_over else 1.2 * patience.unsure
    if verdict is None:
        return patience.likely if ending is Ending.QUESTION else patience.unknown
    halfway = (patience.likely + patience.unsure) / 2
    if ending is Ending.QUESTION:
        return _question(patience, verdict, complete)
    if ending is Ending.CLOSED:
        return patience.closed if sounds_over else patience.doubted
    if ending is Ending.STATEMENT:
        return patience.statement if sounds_over else halfway
    return halfway if verdict >= LIKELY else patience.unsure


def _question(patience: Patience, verdict: float, complete: float | None) -> float:
    words = HALF if complete is None else complete
    if verdict >= SURE and words >= COMPLETE:
        return patience.finished
    if verdict >= LIKELY and words >= HALF:
        return (patience.finished + patience.likely) / 2
    return patience.likely


# --- the state ------------------------------------------------------------------------------------

ON, OFF = 0.55, 0.35  # hysteresis of the detector's probability
ONSET_WINDOWS = 3  # 96 ms of speech make a start
LEARNED_PAUSES = (0.2, 3.0)  # seconds; shorter ones are in every word, longer ones are no habit
FORGETTING = 0.93  # of what was learned, with each turn
EARLY_WITHIN = 1.2  # seconds before the end of her question in which it may be answered
ECHO_WITHIN = 0.6  # seconds after the persona's last sound in which its echo may begin


@dataclass
class _Piece:
    number: int
    start: float
    asked_until: float | None = None  # end of the last request
    text: str | None = None
    complete: float | None = None
    closed: bool = False
    partial: bool = False  # asked for while the rep still spoke

    def reopen(self) -> None:
        self.asked_until = self.text = self.complete = None
        self.partial = False


@dataclass
class _Turn:
    start: float
    last_speech: float
    interrupting: bool = False
    pieces: list[_Piece] = field(default_factory=list)
    verdict: float | None = None
    question: int | None = None
    spoken: float = 0.0  # seconds of windows above the threshold
    prepared: bool = False

    def text(self) -> str | None:
        """Words so far; None while the open piece is not recognised yet."""
        if self.pieces[-1].text is None:
            return None
        return " ".join(piece.text for piece in self.pieces if piece.text)

    def complete(self) -> float | None:
        """Of the last piece that has words."""
        return next((piece.complete for piece in reversed(self.pieces) if piece.text), None)

    def numbers(self) -> tuple[int, ...]:
        return tuple(piece.number for piece in self.pieces)


class TurnTaker:
    """Feed windows, words and verdicts; act on what it returns."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._turn: _Turn | None = None
        self._let_pass: _Turn | None = None  # short words over the persona
        self._speaking = False
        self._onset: float | None = None
        self._run = 0
        self._persona_speaking = False
        self._persona_words = ""
        self._persona_until = -ECHO_WITHIN
        self._held = False
        self._button: bool | None = None  # pressed or not; None: nobody uses one
        self._pieces = 0
        self._questions = 0
        self._at = 0.0
        self._own_pauses: dict[Ending, float] = {}
        self._answered: tuple[float, Ending] | None = None  # end of the last turn, and how

    @property
    def rep_speaking(self) -> bool:
        return self._speaking

    @property
    def turn_open(self) -> bool:
        return self._turn is not None

    @property
    def words_missing_since(self) -> float | None:
        """The rep's last speech, where it is over and nobody knows its words yet."""
        turn = self._turn
        if turn is None or self._speaking or self._held or turn.text() is not None:
            return None
        return turn.last_speech

    @property
    def own_pause(self) -> float:
        """The longest pause this rep is known to make inside turns, seconds."""
        return max(self._own_pauses.values(), default=0.0)

    def persona(self, *, speaking: bool) -> None:
        if self._persona_speaking and not speaking:
            self._persona_until = self._at
        self._persona_speaking = speaking
        if not speaking:
            self._held = False

    def persona_says(self, text: str) -> None:
        """Of the reply that is heard now: if the microphone says the same, it is an echo."""
        self._persona_words = text

    def window(self, at: float, probability: float, seconds: float = 0.032) -> list[Decision]:
        """One detector window that ended at `at`."""
        self._at = at
        if self._button is not None:
            return self._speech(at, seconds) if self._button else self._silence(at)
        begun = self._speaking or self._run
        if probability >= ON or (begun and probability >= OFF):
            return self._speech(at, seconds)
        return self._silence(at)

    def button(self, *, pressed: bool | None) -> list[Decision]:
        """Press-to-talk: the rep speaks while it is pressed, whatever the detector says.

        None: the rep talks freely again. Letting go ends the turn as soon as its words are known.
        """
        was, self._button = self._button, pressed
        turn = self._turn
        if pressed:
            self._run = ONSET_WINDOWS
            return []
        if not was or turn is None or not self._speaking:
            return []
        self._speaking = False
        return [RepPaused(turn.last_speech), *self._ask(self._at, turn, 0.0)]

    def words(self, piece: int, end: float, text: str) -> None:
        """The words of a piece up to `end`; stale ones are ignored."""
        for mine in self._asked(piece, end):
            mine.text, mine.complete = text.strip(), None

    def complete(self, piece: int, end: float, chance: float) -> None:
        """How likely a sentence is over behind those words; stale answers are ignored."""
        for mine in self._asked(piece, end):
            mine.complete = chance

    def _asked(self, piece: int, end: float) -> list[_Piece]:
        """The piece, where this is still what is wanted of it."""
        pieces = self._turn.pieces if self._turn else []
        return [mine for mine in pieces if mine.number == piece and mine.asked_until == end]

    def verdict(self, question: int, probability: float) -> None:
        """The turn model's answer; stale ones are ignored."""
        if self._turn and self._turn.question == question:
            self._turn.verdict = probability

    def answered_too_early(self) -> None:
        """The rep goes on with the turn before: such a pause is not the end for this rep."""
        if self._answered is not None and self._turn is not None:
            end, ending = self._answered
            self._learn(ending, self._turn.start - end)

    # -- speech

    def _speech(self, at: float, seconds: float) -> list[Decision]:
        self._run += 1
        if self._onset is None:
            self._onset = at - seconds
        if not self._speaking and self._run < ONSET_WINDOWS:
            return []
        decisions: list[Decision] = []
        if not self._speaking:
            self._speaking = True
            decisions += self._resume_or_open(self._onset)
            assert self._turn is not None
            self._turn.spoken += at - seconds - self._onset
        turn = self._turn
        assert turn is not None  # speaking has opened it
        turn.last_speech = at
        turn.spoken += seconds
        decisions += self._over_persona(at, turn)
        decisions += self._split_long(at, turn)
        return decisions

    def _resume_or_open(self, onset: float) -> list[Decision]:
        turn = self._turn
        if turn is None:
            self._let_pass = None
            self._turn = _Turn(onset, onset)
            self._open_piece(onset)
            return [RepStarted(onset)]
        text = turn.text()
        if text:
            self._learn(ending_with(text, turn.complete()), onset - turn.last_speech)
        turn.verdict = turn.question = None
        turn.prepared = False
        if turn.pieces[-1].closed:
            self._open_piece(max(onset - 0.2, turn.last_speech))
        else:
            turn.pieces[-1].reopen()
        return [RepStarted(onset)]

    def _learn(self, ending: Ending, pause: float) -> None:
        shortest, longest = LEARNED_PAUSES
        if shortest < pause < longest:
            known = self._own_pauses.get(ending, 0.0)
            self._own_pauses[ending] = max(pause, 0.7 * known + 0.3 * pause)

    def _open_piece(self, start: float) -> None:
        assert self._turn is not None
        self._turn.pieces.append(_Piece(self._pieces, start))
        self._pieces += 1

    def _over_persona(self, at: float, turn: _Turn) -> list[Decision]:
        if not self._persona_speaking:
            return []
        if self._button:
            return self._take_floor(at, turn)
        if not self._held:
            if turn.spoken < self.patience.hold_after:
                return []
            self._held = True
            return [Hold(at)]
        text = turn.text()
        says_something = bool(text) and not self._is_murmur(text or "", turn)
        if says_something or turn.spoken >= self.patience.interrupt_after:
            return self._take_floor(at, turn)
        return self._ask_partial(at, turn)

    def _ask_partial(self, at: float, turn: _Turn) -> list[Decision]:
        """She is silent already; whether the rep wants the floor shows before they stop."""
        piece = turn.pieces[-1]
        if turn.spoken < self.patience.judge_after or piece.asked_until is not None:
            return []
        piece.asked_until, piece.partial = at, True
        return [Transcribe(piece.number, piece.start, at)]

    def _is_murmur(self, text: str, turn: _Turn) -> bool:
        """Nothing that wants the floor: "mhm", or what the persona says itself."""
        if turn.spoken < self.patience.murmur_until and says_little(text):
            return True
        return repeats(text, self._persona_words) or (
            is_backchannel(text) and not takes_floor(text)
        )

    def _take_floor(self, at: float, turn: _Turn) -> list[Decision]:
        turn.interrupting = True
        self._persona_speaking = self._held = False
        return [Interrupt(at)]

    def _split_long(self, at: float, turn: _Turn) -> list[Decision]:
        piece = turn.pieces[-1]
        if at - piece.start < self.patience.longest_piece:
            return []
        piece.closed, piece.asked_until, piece.partial = True, at, False
        self._open_piece(at)
        return [Transcribe(piece.number, piece.start, at)]

    # -- silence

    def _silence(self, at: float) -> list[Decision]:
        self._run, self._onset = 0, None
        turn = self._turn or self._early_answer()
        if turn is None:
            return []
        decisions: list[Decision] = []
        quiet = at - turn.last_speech
        if self._speaking and quiet >= self.patience.words_after:
            self._speaking = False
            decisions.append(RepPaused(turn.last_speech))
        if self._speaking:
            return decisions
        decisions += self._ask(at, turn, quiet)
        if self._held:
            decisions += self._judge_overlap(at, turn, quiet)
        else:
            decisions += self._prepare_or_end(at, turn, quiet)
        return decisions

    def _ask(self, at: float, turn: _Turn, quiet: float) -> list[Decision]:
        decisions: list[Decision] = []
        piece = turn.pieces[-1]
        if piece.partial:
            piece.reopen()
        if piece.asked_until is None:
            piece.asked_until = turn.last_speech + min(quiet, self.patience.words_after)
            decisions.append(Transcribe(piece.number, piece.start, piece.asked_until))
        long_enough = turn.last_speech - piece.start >= self.patience.split_from
        if quiet >= self.patience.split_after and long_enough:
            piece.closed = True
        if turn.question is None and quiet >= self.patience.model_after:
            turn.question = self._questions
            self._questions += 1
            decisions.append(AskTurnModel(turn.question, turn.start, at))
        return decisions

    def _judge_overlap(self, at: float, turn: _Turn, quiet: float) -> list[Decision]:
        """Short speech over the persona has ended: a murmur, or did it say something?"""
        text = turn.text()
        if text is None and quiet < self.patience.murmur_within:
            return []
        if text and not self._is_murmur(text, turn):
            return self._take_floor(at, turn)
        self._held = False
        self._turn, self._let_pass = None, turn if text else None
        return [Resume(at)] if text else [TurnDropped(at), Resume(at)]

    def _early_answer(self) -> _Turn | None:
        """What was let pass over the very end of a question of hers was the answer to it."""
        if self._persona_speaking or self._let_pass is None:
            return None
        turn, self._let_pass = self._let_pass, None
        asked = self._persona_words.rstrip().endswith("?")
        if asked and self._persona_until - turn.last_speech <= EARLY_WITHIN:
            turn.last_speech = max(turn.last_speech, self._persona_until)
            self._turn = turn
        return self._turn

    def _prepare_or_end(self, at: float, turn: _Turn, quiet: float) -> list[Decision]:
        wait, text = self._wait(turn), turn.text()
        if quiet >= wait:
            return self._end(at, turn, text)
        if turn.prepared or not text or quiet < wait - self.patience.prepare_ahead:
            return []
        turn.prepared = True
        return [Prepare(turn.start, turn.last_speech, turn.numbers(), turn.interrupting)]

    def _wait(self, turn: _Turn) -> float:
        if self._button is not None:
            return 0.0
        return wait_for(
            self.patience,
            verdict=turn.verdict,
            text=turn.text(),
            complete=turn.complete(),
            own_pauses=self._own_pauses,
        )

    def _end(self, at: float, turn: _Turn, text: str | None) -> list[Decision]:
        if text is None and at - turn.last_speech < self.patience.words_within:
            return []  # the words are on their way; without them there is nothing to answer
        self._turn = None
        echo = turn.start < self._persona_until + ECHO_WITHIN
        if not text or (echo and repeats(text, self._persona_words)):
            return [TurnDropped(at)]
        own_pause, ending = self.own_pause, ending_with(text, turn.complete())
        self._answered = (turn.last_speech, ending)
        self._own_pauses = {known: FORGETTING * p for known, p in self._own_pauses.items()}
        return [
            TurnEnded(
                start=turn.start,
                end=turn.last_speech,
                at=at,
                pieces=turn.numbers(),
                interrupting=turn.interrupting,
                verdict=turn.verdict,
                own_pause=own_pause,
            )
        ]
