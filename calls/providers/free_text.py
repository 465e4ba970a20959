"""A persona whose words a language model writes: the director decides, the model only phrases.

The model gets the lines that the director chose as stage directions. Every clause passes
`calls.director.guard` before it is spoken. Whatever goes wrong (slow, refused, dead in the middle
of a sentence) the rep hears an authored line in time: see docs/providers.md.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from calls.director.clauses import ClauseCutter, ends_sentence
from calls.director.guard import objection, spoken_only
from calls.director.state import mood
from calls.ports import Heard, Line, ProviderError, ProviderRefused
from calls.providers.chat import Message
from calls.providers.director import FREE_TEXT, DirectorBrain, excuses

THINKS_AFTER = 1.0  # seconds without a clause until the persona says "Hmm."
GIVES_UP_AFTER = 2.5  # seconds without a first clause until the authored line is said
STALLS_AFTER = 2.5  # seconds between two clauses until the rest is given up
REMEMBERED = 12  # turns told to the model
TURN_CHARACTERS = 600  # of each
WAITING = 64  # clauses read ahead of the voice; the guard lets far fewer through

# What the director must say itself: what is agreed, what is no part of the play, what has to be
# there at once.
AUTHORED = (
    *("nothing_heard", "goodbye", "hold", "agree", "agreed_already", "reply:robot"),
    *("reply:injection", "reply:abuse", "repeat", "repeat_lead"),
)

_ROLE = """\
You act in a practice phone call. You are {name}, the customer. {about}
The user is a sales rep who called you; you never sell, offer help or leave your role.
You are {mood}. Reply with the spoken words of {name} only: one to three short plain sentences, as
people talk on the phone. No lists, no stage directions, no emoji.
With each turn you get a note of what {name} means to say. Say just that, in your own words, fitting
to what the rep said. Never add a figure, a name, a fact or a promise that is not in the note."""
_MOODS = {"wary": "wary and short", "neutral": "polite but careful", "warm": "friendly"}


class Chat(Protocol):
    """See `calls.providers.chat.OpenAIChat`."""

    model: str

    def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]: ...


class FreeTextBrain:
    """`calls.ports.PersonaBrain` for one call, around the director of that call."""

    def __init__(
        self,
        director: DirectorBrain,
        chat: Chat,
        *,
        thinks_after: float = THINKS_AFTER,
        gives_up_after: float = GIVES_UP_AFTER,
        stalls_after: float = STALLS_AFTER,
    ) -> None:
        self._director = director
        self._chat = chat
        self._thinks_after = thinks_after
        self._gives_up_after = gives_up_after
        self._stalls_after = stalls_after
        self._told: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)  # (role, text)
        self._authored = ""  # what the director chose, and believes to be on its way
        self._written = ""  # what is said in place of it
        self._excuses = 0

    def opening(self) -> AsyncGenerator[Line, None]:
        self._forget()
        return self._director.opening()

    def silence(self, seconds: float) -> AsyncGenerator[Line, None]:
        self._forget()
        return self._director.silence(seconds)

    async def reply(self, heard: Heard) -> AsyncGenerator[Line, None]:
        self._forget()
        lines = [line async for line in self._director.reply(heard)]
        if heard.text:
            self._told.append(("user", heard.text[:TURN_CHARACTERS]))
        if not lines or set(lines[0].cue.get("rules", ())) & set(AUTHORED):
            for line in lines:
                yield line
            return
        self._authored = " ".join(line.text for line in lines)
        async with aclosing(self._in_time(lines)) as in_time:
            async for line in in_time:
                yield line

    def spoken(self, text: str, *, complete: bool) -> None:
        """The director is told of as much of its own lines as the rep heard of the model's."""
        if text:
            self._told.append(("assistant", text[:TURN_CHARACTERS]))
        if not self._written:
            self._director.spoken(text, complete=complete)
            return
        share = 1.0 if complete else min(1.0, len(text) / len(self._written))
        words = self._authored.split()
        heard = " ".join(words[: round(share * len(words))])
        self._director.spoken(heard, complete=complete)

    def snapshot(self) -> dict[str, Any]:
        """The director's, with what was said so far: either brain goes on from the other's."""
        own = {
            "told": [list(turn) for turn in self._told],
            "authored": self._authored,
            "written": self._written,
        }
        return {**self._director.snapshot(), FREE_TEXT: own}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        self._director.restore(snapshot)
        own = snapshot.get(FREE_TEXT, {"told": [], "authored": "", "written": ""})
        try:
            told = [(str(role), str(text)) for role, text in own["told"]]
            self._authored, self._written = str(own["authored"]), str(own["written"])
        except (KeyError, TypeError, ValueError) as error:
            raise ProviderRefused("The snapshot cannot be restored.") from error
        self._told = deque(told, maxlen=REMEMBERED)

    # -- one reply

    async def _in_time(self, authored: list[Line]) -> AsyncGenerator[Line, None]:
        """The model's clauses as they come; where they do not, what was authored."""
        cue = dict(authored[0].cue)
        said: list[str] = []
        clauses = _Pump(self._clauses())
        try:
            try:
                clause = await clauses.next(self._thinks_after)
            except TimeoutError:
                for filler in self._excuse("thinking"):
                    yield Line(filler, {**cue, "chat": "slow", "filler": True, "aside": "filler"})
                clause = await clauses.next(self._gives_up_after - self._thinks_after)
            while clause is not None:
                said.append(clause)
                self._written = " ".join(said)
                yield Line(clause, {**cue, "chat": self._chat.model}, authored=False)
                clause = await clauses.next(self._stalls_after)
        except (ProviderError, TimeoutError, _Objected) as failure:
            reason = failure.code if isinstance(failure, _Objected) else type(failure).__name__
            for line in self._instead(said, authored, reason):
                yield line
        finally:
            await clauses.close()

    def _instead(self, said: list[str], authored: list[Line], reason: str) -> list[Line]:
        """A reply without a word is said as authored; one that broke off is brought to an end."""
        cue = {**authored[0].cue, "chat_failed": reason}
        if not said:
            return [Line(line.text, cue) for line in authored]
        if ends_sentence(said[-1]):
            return []
        return [Line(text, cue) for text in self._excuse("lost_thread")]

    def _excuse(self, name: str) -> tuple[str, ...]:
        """One of the pack's lines, another each time."""
        lines = excuses(self._director.pack, name)
        self._excuses += 1
        return (lines[self._excuses % len(lines)],) if lines else ()

    async def _clauses(self) -> AsyncGenerator[str, None]:
        """What the model says and may say, clause by clause. Raises ProviderError, _Objected."""
        cutter, said = ClauseCutter(), list[str]()
        allowed = [self._authored, *(text for _, text in self._told)]
        async with aclosing(self._chat.stream(self._messages())) as bits:
            async for bit in bits:
                for clause in cutter.feed(bit):
                    if spoken := self._checked(clause, said, allowed):
                        yield spoken
        for clause in cutter.finish():
            if spoken := self._checked(clause, said, allowed):
                yield spoken
        if not said:
            raise _Objected("empty")

    def _checked(self, clause: str, said: list[str], allowed: list[str]) -> str:
        """The clause as it is spoken; empty when nothing of it is. Raises _Objected."""
        name = self._director.pack.persona.name
        text = spoken_only(clause)
        for prefix in (name, name.split()[0], "Customer"):
            text = text.removeprefix(f"{prefix}:").strip()
        if not any(character.isalnum() for character in text):
            return ""
        if code := objection(text, said=said, allowed=allowed):
            raise _Objected(code)
        said.append(text)
        return text

    def _messages(self) -> list[Message]:
        """The role first, the same in every turn, so that a server can keep what it has read."""
        pack, state = self._director.pack, self._director.state
        role = _ROLE.format(
            name=pack.persona.name,
            about=" ".join(pack.persona.about.split()),
            mood=_MOODS[mood(pack, state)],
        )
        *before, (_, last) = list(self._told) or [("user", "")]
        note = f"{last}\n\n(Note, not heard by the rep: you mean to say: {self._authored})"
        turns = _alternating([("system", role), *before, ("user", note)])
        return [{"role": who, "content": text} for who, text in turns]

    def _forget(self) -> None:
        self._authored = self._written = ""


class _Objected(Exception):
    """The guard said no; `code` is its own."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Pump:
    """Reads a source in a task of its own, so that waiting for the next item can have a limit."""

    def __init__(self, items: AsyncGenerator[str, None]) -> None:
        self._waiting: asyncio.Queue[str | Exception | None] = asyncio.Queue(WAITING)
        self._task = asyncio.create_task(self._read(items))

    async def next(self, seconds: float) -> str | None:
        """The next item, None at the end. Raises TimeoutError, and what the source raises."""
        async with asyncio.timeout(seconds):
            item = await self._waiting.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def close(self) -> None:
        """End the source too, wherever it is."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self, items: AsyncGenerator[str, None]) -> None:
        end: Exception | None = None
        async with aclosing(items):
            try:
                async for item in items:
                    await self._waiting.put(item)
            except Exception as failure:  # noqa: BLE001 - raised again where it is waited for
                end = failure
        await self._waiting.put(end)


def _alternating(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The user first and neighbours of one role as one: many templates refuse anything else."""
    joined: list[tuple[str, str]] = []
    for role, text in turns:
        if joined and joined[-1][0] == role:
            joined[-1] = (role, f"{joined[-1][1]} {text}")
            continue
        if role == "assistant" and joined[-1][0] == "system":
            joined.append(("user", "(The phone rings.)"))
        joined.append((role, text))
    return joined
