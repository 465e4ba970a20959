"""Both channels of a conversation as a live worker records them, spoken by the speech server."""

import io
import json
import wave
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from tests.clips import spoken

RATE = 48_000
GAP = 0.5  # seconds between turns
VOICES = {"user": "am_adam", "assistant": "af_bella"}

SHORT = [
    ("assistant", "Hello, this is Carol."),
    ("user", "Good morning Carol, my name is James and I am calling about the card you sent us."),
    ("assistant", "Oh yes, I remember that card. I sent it back last week."),
    ("user", "Great. Which doctors do you see, and how important are they to you?"),
    ("assistant", "I see Doctor Patel. I would never want to lose her."),
    ("user", "That makes sense. She is in the network, so you can keep seeing her as before."),
]
LONG = [
    *SHORT,
    ("assistant", "That is good to hear. My neighbor had to change hers last year."),
    ("user", "Do you take any prescription medicines, and what do you pay for them each month?"),
    ("assistant", "I take two pills in the morning. About forty dollars, I think."),
    ("user", "How often do you go to the dentist? This plan covers dental, vision, and hearing."),
    ("assistant", "Twice a year. I pay for that myself right now."),
    ("user", "The most you would pay in a year is four thousand dollars, and nothing each month."),
    ("assistant", "That sounds like a lot of money to me."),
    ("user", "I understand. Most people never come near it. Shall we go ahead and enroll today?"),
]


@dataclass(frozen=True)
class Dialogue:
    rep: np.ndarray  # int16 at 48 kHz
    persona: np.ndarray
    turns: list[dict]

    def save(self, path: Path) -> Path:
        np.savez(path, rep=self.rep, persona=self.persona, turns=json.dumps(self.turns))
        return path

    @classmethod
    def load(cls, path: Path) -> "Dialogue":
        with np.load(path) as file:
            return cls(file["rep"], file["persona"], json.loads(str(file["turns"])))

    def sounds(self) -> dict[tuple[str, str], np.ndarray]:
        """Every line, cut out again."""
        channels = {"user": self.rep, "assistant": self.persona}
        return {
            (turn["role"], turn["text"]): channels[turn["role"]][
                round(turn["start_time"] * RATE) : round(turn["end_time"] * RATE)
            ]
            for turn in self.turns
        }


def voices(script: list[tuple[str, str]], socket: Path) -> dict[tuple[str, str], np.ndarray]:
    """Every line spoken once."""
    return {(role, text): _sound(text, VOICES[role], socket) for role, text in script}


def converse(
    script: list[tuple[str, str]],
    sounds: dict[tuple[str, str], np.ndarray],
    *,
    seconds: float | None = None,
    rep: np.ndarray | None = None,
) -> Dialogue:
    """Turn after turn; again from the top until `seconds` are full. `rep` replaces the rep."""
    pieces: dict[str, list[np.ndarray]] = {"user": [], "assistant": []}
    turns, at = [], 0.5
    pause = np.zeros(round(GAP * RATE), np.int16)
    for side in pieces.values():
        side.append(pause)
    for role, text in script if seconds is None else cycle(script):
        sound = sounds[role, text]
        end = at + len(sound) / RATE
        if seconds is not None and end + GAP > seconds:
            break
        if rep is None or role == "assistant":
            turns.append({"role": role, "text": text, "start_time": at, "end_time": end})
        for side, column in pieces.items():
            column += [sound if side == role else np.zeros_like(sound), pause]
        at = end + GAP
    said, answered = np.concatenate(pieces["user"]), np.concatenate(pieces["assistant"])
    if rep is not None:
        said = rep[: len(answered)]
    return Dialogue(said, answered, turns)


def _sound(text: str, voice: str, socket: Path) -> np.ndarray:
    with wave.open(io.BytesIO(spoken(text, socket, voice=voice).wav)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    sound = resample_poly(pcm.astype(float), RATE // rate, 1)
    return np.clip(sound, -32768, 32767).astype(np.int16)
