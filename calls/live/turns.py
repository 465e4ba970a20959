"""Who has the floor: pure decisions over times, speech probabilities and words.

No clock, no audio, no I/O: everything comes in as an argument with its time (seconds of the call)
and what should be done comes back as a list of decisions. The rule in one paragraph: speech is
what the detector says with hysteresis. After 120 ms of silence the words so far are wanted, after
200 ms the turn model is asked; the turn ends when the silence has lasted as long as the words and
the model together make us wait, between 0.3 s for a finished question and 2 s for "well, um". A
rep who pauses long inside turns is waited for longer. Speech over the persona first holds it, and
becomes an interruption only when it lasts or says something; otherwise the persona goes on.
"""

import re
from dataclasses import dataclass, field

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
    | TurnEnded
    | TurnDropped
    | Hold
    | Resume
    | Interrupt
)

# --- how long to wait ---------------------------------------------------------------------------

_BACKCHANNELS = {
    *("mhm", "mm", "hm", "hmm", "uh", "huh", "mmhmm", "um", "ah", "oh", "yeah", "yep", "yes"),
    *("right", "okay", "ok", "sure", "wow", "alright", "good", "great", "i", "see", "got", "it"),
}
_TAKES_FLOOR = {"wait", "stop", "no", "hold", "actually", "sorry", "excuse", "hang", "but"}
_FILLERS = {"um", "uh", "er", "erm", "hmm", "well", "so", "like", "and", "but", "or", "because"}
_OPEN_ENDINGS = {
    *("the", "a", "an", "my", "your", "our", "their", "his", "her", "this", "that's", "to", "of"),
    *("for", "with", "in", "on", "at", "from", "by", "if", "when", "which", "who", "what's"),
    *("is", "are", "was", "were", "do", "does", "did", "can", "could", "would", "will", "i'm"),
    *("it's", "about", "also", "then", "than", "as", "between", "into", "let", "me", "i", "we"),
    *("we're", "you're", "they're", "going", "gonna", "want", "need", "have", "has", "some", "any"),
}


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation, apostrophes kept."""
    return re.findall(r"[a-z0-9$%']+", text.lower())


def is_backchannel(text: str) -> bool:
    """True for "mhm", "okay", "yeah right": heard, but not taking the floor."""
    words = words_of(text)
    return len(words) <= 3 and all(word in _BACKCHANNELS for word in words)


def takes_floor(text: str) -> bool:
    """True when even one word must stop the persona: "wait", "stop", "no"."""
    return any(word in _TAKES_FLOOR for word in words_of(text)[:2])


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits in seconds of silence. Sources: `docs/latency.md`; to be tuned in bench/loop.py."""

    words_after: float = 0.12  # ask for the words
    model_after: float = 0.20  # ask the turn model
    finished: float = 0.30  # a question or a closed sentence that also sounds over
    likely: float = 0.50  # sounds over, words neutral
    unsure: float = 1.10  # does not sound over
    open_clause: float = 1.80  # "and my", "well, um"
    unknown: float = 1.00  # no verdict from the model in time
    split_after: float = 0.25  # a pause this long closes a piece of a long turn
    split_from: float = 1.5  # ... that is at least this long
    longest_piece: float = 24.0  # Whisper hears 30 s at most
    words_within: float = 5.5  # then they will not come
    hold_after: float = 0.20  # speech over the persona
    interrupt_after: float = 0.75


def wait_for(
    patience: Patience, *, verdict: float | None, text: str | None, own_pause: float
) -> float:
    """Seconds of silence after which the turn is over.

    `verdict` is the model's probability that it is over, `text` the words so far, each None while
    unknown. `own_pause` is how long this rep has been seen to pause inside a turn.
    """
    words = words_of(text) if text else []
    last = words[-1] if words else ""
    if last in _FILLERS or (text or "").rstrip().endswith(("...", "-", ",")):
        return patience.open_clause
    if last in _OPEN_ENDINGS and not (text or "").rstrip().endswith("?"):
        return patience.open_clause
    if verdict is None:
        return max(patience.unknown, own_pause)
    if verdict < 0.5:
        return max(patience.unsure, own_pause + 0.2)
    if text is None:
        return max(patience.likely, min(own_pause, 0.8))
    closed = text.rstrip().endswith(("?", ".", "!"))
    if verdict >= 0.85 and closed:
        return max(patience.finished, min(own_pause, 0.6))
    return max(patience.likely, min(own_pause, 0.9))


# --- the state ------------------------------------------------------------------------------------

ON, OFF = 0.55, 0.35  # hysteresis of the detector's probability
ONSET_WINDOWS = 3  # 96 ms of speech make a start


@dataclass
class _Piece:
    number: int
    start: float
    asked_until: float | None = None  # end of the last request
    text: str | None = None
    closed: bool = False


@dataclass
class _Turn:
    start: float
    last_speech: float
    interrupting: bool
    pieces: list[_Piece] = field(default_factory=list)
    verdict: float | None = None
    question: int | None = None
    spoken: float = 0.0  # seconds of windows above the threshold

    def text(self) -> str | None:
        """Words so far; None while the open piece is not recognised yet."""
        if self.pieces[-1].text is None:
            return None
        return " ".join(piece.text for piece in self.pieces if piece.text)


class TurnTaker:
    """Feed windows, words and verdicts; act on what it returns."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._turn: _Turn | None = None
        self._speaking = False
        self._onset: float | None = None
        self._run = 0
        self._persona_speaking = False
        self._held = False
        self._pieces = 0
        self._questions = 0
        self._own_pause = 0.0

    @property
    def rep_speaking(self) -> bool:
        return self._speaking

    @property
    def turn_open(self) -> bool:
        return self._turn is not None

    @property
    def own_pause(self) -> float:
        """The pause this rep makes inside turns, seconds, decaying towards the recent ones."""
        return self._own_pause

    def persona(self, *, speaking: bool) -> None:
        self._persona_speaking = speaking
        if not speaking:
            self._held = False

    def window(self, at: float, probability: float, seconds: float = 0.032) -> list[Decision]:
        """One detector window that ended at `at`."""
        if probability >= ON or (self._speaking and probability >= OFF):
            return self._speech(at, seconds)
        return self._silence(at)

    def words(self, piece: int, end: float, text: str) -> None:
        """The words of a piece up to `end`; stale ones are ignored."""
        for mine in self._turn.pieces if self._turn else []:
            if mine.number == piece and mine.asked_until == end:
                mine.text = text.strip()

    def verdict(self, question: int, probability: float) -> None:
        """The turn model's answer; stale ones are ignored."""
        if self._turn and self._turn.question == question:
            self._turn.verdict = probability

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
        if self._turn is None:
            self._turn = _Turn(onset, onset, interrupting=False)
            self._open_piece(onset)
        else:
            pause = onset - self._turn.last_speech
            if 0.2 < pause < 3.0:
                self._own_pause = max(pause, 0.7 * self._own_pause + 0.3 * pause)
            self._turn.verdict = self._turn.question = None
            if self._turn.pieces[-1].closed:
                self._open_piece(max(onset - 0.2, self._turn.last_speech))
            else:
                self._turn.pieces[-1].asked_until = self._turn.pieces[-1].text = None
        return [RepStarted(onset)]

    def _open_piece(self, start: float) -> None:
        assert self._turn is not None
        self._turn.pieces.append(_Piece(self._pieces, start))
        self._pieces += 1

    def _over_persona(self, at: float, turn: _Turn) -> list[Decision]:
        if not self._persona_speaking:
            return []
        if not self._held and turn.spoken >= self.patience.hold_after:
            self._held = True
            return [Hold(at)]
        if self._held and turn.spoken >= self.patience.interrupt_after:
            return self._take_floor(at, turn)
        return []

    def _take_floor(self, at: float, turn: _Turn) -> list[Decision]:
        turn.interrupting = True
        self._persona_speaking = self._held = False
        return [Interrupt(at)]

    def _split_long(self, at: float, turn: _Turn) -> list[Decision]:
        piece = turn.pieces[-1]
        if at - piece.start < self.patience.longest_piece:
            return []
        piece.closed, piece.asked_until = True, at
        self._open_piece(at)
        return [Transcribe(piece.number, piece.start, at)]

    # -- silence

    def _silence(self, at: float) -> list[Decision]:
        self._run, self._onset = 0, None
        turn = self._turn
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
        elif quiet >= self._wait(turn):
            decisions += self._end(at, turn)
        return decisions

    def _ask(self, at: float, turn: _Turn, quiet: float) -> list[Decision]:
        decisions: list[Decision] = []
        piece = turn.pieces[-1]
        end = turn.last_speech + 0.12
        if piece.asked_until is None:
            piece.asked_until = end
            decisions.append(Transcribe(piece.number, piece.start, end))
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
        if text is None and quiet < self.patience.unknown:
            return []
        if text and (takes_floor(text) or not is_backchannel(text)):
            return self._take_floor(at, turn)
        self._held = False
        self._turn = None
        return [TurnDropped(at), Resume(at)]

    def _wait(self, turn: _Turn) -> float:
        return wait_for(
            self.patience, verdict=turn.verdict, text=turn.text(), own_pause=self._own_pause
        )

    def _end(self, at: float, turn: _Turn) -> list[Decision]:
        text = turn.text()
        if text is None and at - turn.last_speech < self.patience.words_within:
            return []  # the words are on their way; without them there is nothing to answer
        self._turn = None
        if not text:
            return [TurnDropped(at)]
        pieces = tuple(piece.number for piece in turn.pieces)
        return [
            TurnEnded(
                start=turn.start,
                end=turn.last_speech,
                at=at,
                pieces=pieces,
                interrupting=turn.interrupting,
                verdict=turn.verdict,
                own_pause=self._own_pause,
            )
        ]
