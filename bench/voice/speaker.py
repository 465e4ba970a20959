"""A voice that stops in the middle of a line, with the melody of somebody who will go on.

A piece of a line said by itself falls at its end as a sentence does, and nothing in its sound tells
it from one: over such takes the turn model guesses. So the whole line is said, with a dash where
the speaker stops, and cut there. Kokoro's graph knows how long each phoneme lasts.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from hibari.g2p import G2P

from bench.voice.sounds import Sound
from speech.voices import Kokoro, Phonemizer, session

DURATIONS = "/encoder/Clip_output_0"  # frames of each token, in the graph of kokoro 0.9
PAUSE = " — "
_MARKS = " ,.;:!?—…"
_NEAR = 0.05  # seconds around the pause in which the quietest moment is looked for
_FADE = 0.005  # seconds
_RATE = 24_000


class Speaker(Kokoro):
    """Says a line in pieces. `folder` holds the model, `scratch` what is made of it."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        super().__init__(folder, Phonemizer(G2P()))
        self._timed = session(_with_durations(folder / "model.onnx", scratch), 2)

    def pieces(self, texts: list[str], *, voice: str, speed: float) -> list[Sound]:
        """The texts as one line, cut between them; 24 kHz."""
        starts, line = [], texts[0]
        for text in texts[1:]:
            line += " " if line[-1] in _MARKS else PAUSE
            starts.append(_words(line))
            line += text
        phonemes = self.known(self.phonemes(line, voice))
        if _words(phonemes) != _words(line):
            raise ValueError(f"a word that is said as several: {line}")
        inputs = self.inputs(phonemes, voice=voice, speed=speed)
        assert inputs is not None  # a line has words
        spoken, frames = self._timed.run(["audio", DURATIONS], inputs)
        spoken, frames = spoken.ravel(), frames.ravel()
        ends = np.cumsum(frames) * len(spoken) / frames.sum()  # samples
        cuts = [0, *(_cut(spoken, ends, phonemes, word) for word in starts), len(spoken)]
        return [_faded(spoken[a:b]) for a, b in pairwise(cuts)]


def _words(text: str) -> int:
    return len([word for word in text.split() if word.strip(_MARKS)])


def _cut(spoken: Sound, ends: Sound, phonemes: str, word: int) -> int:
    """The sample at the quietest moment before the word of this number."""
    at = _start_of(phonemes, word)
    mark = at
    while phonemes[mark - 1] in _MARKS:
        mark -= 1
    near = round(_NEAR * _RATE)  # token 0 is silence: phoneme n is token n + 1
    start, end = max(0, int(ends[mark]) - near), int(ends[at]) + near
    hop = _RATE // 100
    found = spoken[start : start + (end - start) // hop * hop].reshape(-1, hop)
    energy = np.convolve((found**2).mean(axis=1), np.ones(3) / 3, "same")
    return start + hop * int(np.argmin(energy[1:-1])) + hop + hop // 2


def _start_of(phonemes: str, word: int) -> int:
    """Where the word of this number (from 0) begins."""
    seen, inside = -1, False
    for place, sign in enumerate(phonemes):
        begins = not inside and sign not in _MARKS
        inside = (inside and sign != " ") or begins
        seen += begins
        if begins and seen == word:
            return place
    raise ValueError("there are not as many words")


def _faded(sound: Sound) -> Sound:
    """Without a click where it was cut."""
    size = round(_FADE * _RATE)
    sound = sound.copy()
    sound[:size] *= np.linspace(0, 1, size, dtype=np.float32)
    sound[-size:] *= np.linspace(1, 0, size, dtype=np.float32)
    return sound


def _with_durations(model: Path, scratch: Path) -> Path:
    """A copy of the graph that gives the durations too."""
    path = scratch / "kokoro-timed.onnx"
    if not path.exists():
        graph = onnx.load(str(model))
        info = onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None)
        graph.graph.output.append(info)
        part = path.with_suffix(".part")
        onnx.save(graph, str(part))
        part.replace(path)
    return path
