"""A conversation without a microphone: what is said, and how it lies on the time line.

The persona's words are the drill's real director's, who hears the rep's lines as text. Nothing
here knows how long anything takes to make: a conversation is the same on any machine.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calls.live.events import FRAME_SECONDS, Part, Turn
from calls.live.recorder import Recorder
from calls.ports import Embedder, Heard, Line, PersonaBrain, ProviderUnavailable
from calls.providers.director import DirectorBrain, prepare
from calls.providers.embedder import SECONDS as EMBED_SECONDS

BEFORE = 0.5  # seconds of quiet before the first word and after the last
REP_WAITS = 0.5  # seconds before the rep answers
PERSONA_WAITS = 0.6  # before the persona does, as long as live engines take
SILENCE_PROMPTS = (8.0, 20.0)  # quiet after which she asks whether anyone is there

Packets = Sequence[bytes]  # Opus, 20 ms each


@dataclass(frozen=True, slots=True)
class Said:
    """One turn. The persona's is said line by line; `waited` seconds of quiet come before it."""

    role: str  # "assistant" or "user"
    lines: tuple[str, ...]
    waited: float
    cues: tuple[Mapping[str, Any], ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True)
class Recorded:
    """A whole call, as a live worker would have written it."""

    turns: tuple[Turn, ...]
    parts: tuple[Part, ...] = field(repr=False)
    seconds: float


async def speak_by_text(
    pack: Mapping[str, Any],
    *,
    difficulty: str,
    seed: int,
    rep_lines: Sequence[str],
    embedder: Embedder,
    folder: Path,
) -> list[Said]:
    """The conversation with the drill's real director. `folder` keeps vectors between processes.

    It is word for word the same each time, so never made by words alone: where the vectors fail,
    the director might answer something else, and ProviderUnavailable is raised.
    """
    await prepare(pack, embedder, folder=folder)
    brain = DirectorBrain(pack, difficulty, seed, embedder, embed_within=EMBED_SECONDS)
    turns = await converse(brain, rep_lines)
    if not brain.has_vectors:
        raise ProviderUnavailable("The persona could not understand.")
    return turns


async def converse(brain: PersonaBrain, rep_lines: Sequence[str]) -> list[Said]:
    """The persona opens, then the rep's lines and its answers in turn. Raises ProviderError.

    A rep without lines is waited for as in a live call: the persona asks twice whether anyone
    is there.
    """
    turns = [await _answer(brain, brain.opening(), waited=BEFORE)]
    for line in rep_lines:
        turns.append(Said("user", (line,), REP_WAITS))
        turns.append(await _answer(brain, brain.reply(Heard(line, 0.0, 0.0)), PERSONA_WAITS))
    if not rep_lines:
        turns += [await _answer(brain, brain.silence(q), waited=q) for q in SILENCE_PROMPTS]
    return [turn for turn in turns if turn.lines]


async def _answer(brain: PersonaBrain, lines: AsyncIterator[Line], waited: float) -> Said:
    said = [line async for line in lines]
    turn = Said(
        "assistant", tuple(line.text for line in said), waited, tuple(line.cue for line in said)
    )
    brain.spoken(turn.text, complete=True)
    return turn


def record(turns: Sequence[Said], sounds: Mapping[tuple[str, str], Packets]) -> Recorded:
    """Turn after turn on one time line. `sounds` by role and line."""
    parts: list[Part] = []
    recorder = Recorder(parts.append)
    channels = {"user": recorder.rep, "assistant": recorder.persona}
    written: list[Turn] = []
    frame = 0  # of 20 ms; whole numbers, so that nothing drifts
    for turn in turns:
        frame = _quiet(recorder, frame, turn.waited)
        begin = frame
        for line in turn.lines:
            for packet in sounds[turn.role, line]:
                for role, add in channels.items():
                    add(frame * FRAME_SECONDS, packet if role == turn.role else None)
                frame += 1
        written.append(_turn(turn, begin, frame))
    frame = _quiet(recorder, frame, BEFORE)
    recorder.close()
    return Recorded(tuple(written), tuple(parts), frame * FRAME_SECONDS)


def _quiet(recorder: Recorder, frame: int, seconds: float) -> int:
    """Nobody speaks; the frame at which it ends."""
    until = frame + round(seconds / FRAME_SECONDS)
    for at in range(frame, until):
        recorder.rep(at * FRAME_SECONDS, None)
        recorder.persona(at * FRAME_SECONDS, None)
    return until


def _turn(said: Said, begin: int, end: int) -> Turn:
    return Turn(
        role=said.role,
        text=said.text,
        start=begin * FRAME_SECONDS,
        end=end * FRAME_SECONDS,
        director={"cues": [dict(cue) for cue in said.cues]} if said.cues else {},
    )
