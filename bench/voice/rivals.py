"""Turn rules of others, to be drawn beside ours: the same detector, the same models."""

from dataclasses import dataclass

from calls.live.turns import OFF, ON, AskTurnModel, Decision, RepStarted, TurnEnded

ONSET = 0.2  # seconds of speech that make a start, pipecat's default


@dataclass(slots=True)
class _Speech:
    start: float
    last: float


class SilenceOnly:
    """The turn is over after so much silence, whatever was said."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._speech: _Speech | None = None
        self._speaking = False
        self._onset: float | None = None

    def persona(self, *, speaking: bool) -> None:
        """It does not matter here."""

    def words(self, piece: int, end: float, text: str) -> None:
        """They are not asked for."""

    def complete(self, piece: int, end: float, chance: float) -> None:
        """It is not asked for."""

    def verdict(self, question: int, probability: float) -> None:
        """It is not asked for."""

    def window(self, at: float, probability: float) -> list[Decision]:
        if probability >= (OFF if self._speaking else ON):
            return self._heard(at)
        self._onset = None
        speech = self._speech
        if speech is None:
            return []
        return self._quiet(at, speech)

    def _heard(self, at: float) -> list[Decision]:
        self._onset = at - 0.032 if self._onset is None else self._onset
        if not self._speaking and at - self._onset < ONSET:
            return []
        begins = not self._speaking
        self._speaking = True
        if self._speech is None:
            self._speech = _Speech(self._onset, at)
        self._speech.last = at
        return [RepStarted(self._onset)] if begins else []

    def _quiet(self, at: float, speech: _Speech) -> list[Decision]:
        self._speaking = self._speaking and at - speech.last < 0.1
        return self._end(at, speech) if at - speech.last >= self._seconds else []

    def _end(self, at: float, speech: _Speech) -> list[Decision]:
        self._speech, self._speaking = None, False
        return [TurnEnded(speech.start, speech.last, at, (), False, None, 0.0)]


class TurnModelOnly(SilenceOnly):
    """Ask the turn model after a short silence; when it says no, wait for a long one.

    With 0.2 and 3.0 s this is pipecat-ai's default strategy (its smart-turn analyzer).
    """

    def __init__(self, ask_after: float = 0.2, give_up_after: float = 3.0) -> None:
        super().__init__(give_up_after)
        self._ask_after = ask_after
        self._question = 0
        self._asked = self._over = False

    def verdict(self, question: int, probability: float) -> None:
        if question == self._question and self._asked:
            self._over = probability > 0.5

    def _heard(self, at: float) -> list[Decision]:
        self._asked = self._over = False
        return super()._heard(at)

    def _quiet(self, at: float, speech: _Speech) -> list[Decision]:
        if self._over:
            self._over = self._asked = False
            return self._end(at, speech)
        asks: list[Decision] = []
        if not self._asked and at - speech.last >= self._ask_after:
            self._asked = True
            self._question += 1
            asks.append(AskTurnModel(self._question, speech.start, at))
        return asks + super()._quiet(at, speech)
