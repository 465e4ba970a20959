"""What a rep does with the microphone, made from a seed: the sound, and the truth about it.

    studio = Studio(var / "bench" / "voice", models)
    calls = script(studio, turns=200, seed=1)

The truth is known by construction: when each stretch of speech begins and ends, before any noise
is laid over it. Lines of our own voices are kept on disk, so that a second run hears the same.
"""

import hashlib
import wave
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np

from bench.voice import fresh_lines, lines, sounds, unseen_lines
from bench.voice.sounds import Random, Sound
from bench.voice.speaker import Speaker
from speech.clauses import Clause

HUMAN_FOLDER = Path("/usr/share/pocketsphinx/test/data")  # Debian's pocketsphinx-testdata
HUMAN_RATE = 16_000
VOICES = ("am_adam", "am_michael", "af_sarah", "bm_george", "af_nicole", "am_puck")
PERSONA_VOICE = "af_bella"
PAUSES = (0.15, 0.9)  # seconds, inside a turn
SENTENCE_PAUSES = (0.15, 0.5)  # after a whole sentence, where people who go on wait less
TURNS_A_CALL = 12
BEFORE, BEHIND = 0.02, 0.05  # seconds kept around a piece of speech
LEVEL = -24.0  # dBFS while speaking; a headset's, give or take 5 dB

# What reps say: the rules were made with the first, waits chosen with both, nothing with the third.
SAID = {"tuned": lines, "fresh": fresh_lines, "unseen": unseen_lines}

Expected = Literal["answer", "stop", "nothing"]


@dataclass(frozen=True, slots=True)
class Take:
    """One thing a rep does. Times in seconds from the start of `sound`.

    `over_persona` is how long after the persona's first sound it begins; None: when she is done.
    `echo` is what the microphone picks up of the persona, in dB, and how much later, in seconds.
    """

    kind: str
    text: str
    human: bool
    expected: Expected
    sound: Sound = field(repr=False)  # 48 kHz
    speech: tuple[tuple[float, float], ...]
    room: Sound | None = field(default=None, repr=False)  # goes on before and after
    over_persona: float | None = None
    echo: tuple[float, float] | None = None
    note: str = ""  # level of the noise, length of the pauses

    @property
    def start(self) -> float:
        """The first sound."""
        return self.speech[0][0]

    @property
    def end(self) -> float:
        """The last sound."""
        return self.speech[-1][1]

    @property
    def longest_pause(self) -> float:
        pairs = zip(self.speech, self.speech[1:], strict=False)
        return max((later[0] - earlier[1] for earlier, later in pairs), default=0.0)


class Studio:
    """Voices, made once and kept in `folder`; recordings of people, from Debian's package.

    `said` is what the voices say, one of SAID.
    """

    def __init__(self, folder: Path, models: Path, said: ModuleType = lines) -> None:
        self.said = said
        self._folder = folder / "lines"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._models = models

    def spoken(self, text: str, voice: str, speed: float = 1.0) -> Sound:
        """The text by one of our voices, without silence around it."""
        name = hashlib.sha256(f"{voice}|{speed:.2f}|{text}".encode()).hexdigest()[:24]
        path = self._folder / f"{name}.wav"
        if not path.exists():
            _wav_write(path, self._say(text, voice, speed))
        return sounds.at_rate(_wav_read(path), 24_000)

    def pieces(self, line: str, voice: str, speed: float) -> list[Sound]:
        """A line said as one and cut at each "|", silence around the pieces kept."""
        texts = [text.strip() for text in line.split("|")]
        if len(texts) == 1:
            return [self.spoken(line, voice, speed)]
        name = hashlib.sha256(f"{voice}|{speed:.2f}|{line}|whole".encode()).hexdigest()[:24]
        paths = [self._folder / f"{name}-{number}.wav" for number in range(len(texts))]
        if not paths[-1].exists():
            said = self._speaker.pieces(texts, voice=voice, speed=speed)
            for path, sound in zip(paths, said, strict=True):
                _wav_write(path, sound)
        return [sounds.at_rate(_wav_read(path), 24_000) for path in paths]

    def _say(self, text: str, voice: str, speed: float) -> Sound:
        return self._speaker.say(Clause(text, 0.0), voice=voice, speed=speed)

    @cached_property
    def _speaker(self) -> Speaker:
        """Loaded for the first line that is not on disk."""
        return Speaker(self._models / "kokoro", self._folder.parent)

    @cached_property
    def people(self) -> list[tuple[str, Sound]]:
        """Recordings of people, a name and the sound of each, silence around it cut."""
        found = [*HUMAN_FOLDER.glob("librivox/*.wav"), *HUMAN_FOLDER.glob("cards/*.wav")]
        raw = [*HUMAN_FOLDER.glob("*.raw"), *HUMAN_FOLDER.glob("tidigits/*.raw")]
        if not found:
            raise FileNotFoundError("recorded speech is missing: install pocketsphinx-testdata")
        people = [(path.stem, sounds.at_rate(_wav_read(path), HUMAN_RATE)) for path in found]
        for path in raw:
            samples = np.frombuffer(path.read_bytes(), "<i2").astype(np.float32) / 32768
            people.append((path.stem, sounds.at_rate(samples, HUMAN_RATE)))
        return sorted((name, _trimmed(sound)) for name, sound in people)


# --- the kinds -----------------------------------------------------------------------------------


def _plain(studio: Studio, random: Random, voice: str) -> Take:
    return _spoken_take(studio, random, voice, "plain", _pick(random, studio.said.PLAIN))


def _pause(studio: Studio, random: Random, voice: str) -> Take:
    return _spoken_take(studio, random, voice, "pause", _pick(random, studio.said.PAUSED))


def _hesitation(studio: Studio, random: Random, voice: str) -> Take:
    return _spoken_take(studio, random, voice, "hesitation", _pick(random, studio.said.HESITANT))


def _numbers(studio: Studio, random: Random, voice: str) -> Take:
    return _spoken_take(studio, random, voice, "numbers", _pick(random, studio.said.NUMBERS))


def _human(studio: Studio, random: Random, voice: str) -> Take:
    name, sound = _person(studio, random)
    return _answered("human", name, [sound], [], human=True)


def _human_pause(studio: Studio, random: Random, voice: str) -> Take:
    """A recording whose own quietest moments were made longer."""
    name, sound = _person(studio, random, at_least=2.5)
    cuts = _quiet_moments(sound, most=int(random.integers(1, 3)))
    pieces = np.split(sound, [round(cut * sounds.RATE) for cut in cuts])
    pauses = [_pause_length(random) for _ in cuts]
    return _answered("human-pause", name, pieces, pauses, human=True)


def _noise(studio: Studio, random: Random, voice: str) -> Take:
    """Speech of either sort in a room that is louder or less loud."""
    take = (_pause if random.random() < 0.5 else _human)(studio, random, voice)
    name = _pick(random, ("room", "office", "babble"))
    ratio = float(_pick(random, (20.0, 12.0, 6.0)))
    seconds = sounds.seconds_of(take.sound) + 20.0
    if name == "babble":
        crowd = [studio.spoken(text, v) for text, v in zip(lines.PERSONA, VOICES, strict=False)]
        bed = sounds.babble(crowd, random, seconds)
    else:
        bed = (sounds.room if name == "room" else sounds.office)(random, seconds)
    wanted = sounds.loudness(take.sound) * 10 ** (-ratio / 20)
    bed = bed * np.float32(wanted / max(float(np.sqrt(np.mean(bed * bed))), 1e-9))
    return replace(take, kind="noise", room=bed, note=f"{name} {ratio:.0f} dB")


def _barge(studio: Studio, random: Random, voice: str) -> Take:
    take = _spoken_take(studio, random, voice, "barge", _pick(random, studio.said.STOPS))
    return replace(take, expected="stop", over_persona=float(random.uniform(0.5, 1.5)))


def _murmur(studio: Studio, random: Random, voice: str) -> Take:
    take = _spoken_take(studio, random, voice, "murmur", _pick(random, studio.said.MURMURS))
    softer = sounds.louder(take.sound, float(random.uniform(-8, 0)))
    delay = float(random.uniform(0.4, 1.0))
    return replace(take, sound=softer, expected="nothing", over_persona=delay)


def _over_noise(studio: Studio, random: Random, voice: str) -> Take:
    """A cough or a door while the persona speaks."""
    name = _pick(random, tuple(sounds.NOISES))
    sound = _at_level(sounds.NOISES[name](random), random)
    return Take(
        kind="cough",
        text=name,
        human=False,
        expected="nothing",
        sound=sound,
        speech=(sounds.extent(sound),),
        over_persona=float(random.uniform(0.4, 1.0)),
    )


def _lone_noise(studio: Studio, random: Random, voice: str) -> Take:
    """The same while nobody speaks: nothing to answer."""
    return replace(_over_noise(studio, random, voice), kind="lone-cough", over_persona=None)


def _echo(studio: Studio, random: Random, voice: str) -> Take:
    """The rep says nothing, her loudspeaker speaks into the microphone; then an ordinary turn."""
    level = float(random.uniform(-30.0, -12.0))
    delay = float(random.uniform(0.04, 0.25))
    take = _plain(studio, random, voice)
    note = f"{level:.0f} dB after {1000 * delay:.0f} ms"
    return replace(take, kind="echo", echo=(level, delay), note=note)


MAKERS: dict[str, Callable[[Studio, Random, str], Take]] = {
    "plain": _plain,
    "pause": _pause,
    "hesitation": _hesitation,
    "numbers": _numbers,
    "human": _human,
    "human-pause": _human_pause,
    "noise": _noise,
    "barge": _barge,
    "murmur": _murmur,
    "cough": _over_noise,
    "lone-cough": _lone_noise,
    "echo": _echo,
}
# Of twenty turns; the overlaps are rarer in a call than plain turns.
WEIGHTS = {
    "plain": 2,
    "pause": 4,
    "hesitation": 2,
    "numbers": 1,
    "human": 3,
    "human-pause": 2,
    "noise": 2,
    "barge": 2,
    "murmur": 1,
    "cough": 1,
    "lone-cough": 0.5,
    "echo": 1,
}


def script(
    studio: Studio, *, turns: int, seed: int = 1, kinds: tuple[str, ...] = tuple(MAKERS)
) -> list[list[Take]]:
    """Calls of at most TURNS_A_CALL takes, one voice a call. The same arguments, the same calls.

    A take over the persona never comes first: she must have something to say.
    """
    random = np.random.default_rng(seed)
    order = _order(random, turns, kinds)
    calls: list[list[Take]] = []
    for number, kind in enumerate(order):
        if number % TURNS_A_CALL == 0:
            calls.append([])
        voice = VOICES[(len(calls) - 1) % len(VOICES)]
        own = np.random.default_rng((seed, number))  # a take does not depend on those before it
        calls[-1].append(MAKERS[kind](studio, own, voice))
    return calls


def prompt_take(studio: Studio, voice: str) -> Take:
    """A question that makes the persona speak for a while."""
    text = "Could you tell me a little about the plan you have now?"
    return _spoken_take(studio, np.random.default_rng(0), voice, "plain", text)


def _order(random: Random, turns: int, kinds: tuple[str, ...]) -> list[str]:
    """As many of each kind as its weight asks for, shuffled."""
    unknown = set(kinds) - set(MAKERS)
    if unknown:
        raise ValueError(f"unknown kinds: {', '.join(sorted(unknown))}")
    total = sum(WEIGHTS[kind] for kind in kinds)
    quotas = {kind: turns * WEIGHTS[kind] / total for kind in kinds}
    order = [kind for kind in kinds for _ in range(int(quotas[kind]))]
    rest = sorted(kinds, key=lambda kind: int(quotas[kind]) - quotas[kind])
    order += rest[: turns - len(order)]
    random.shuffle(order)
    return order


# --- parts ---------------------------------------------------------------------------------------


def _spoken_take(studio: Studio, random: Random, voice: str, kind: str, text: str) -> Take:
    """A line by one voice, stopped for a while at each "|"."""
    speed = float(_pick(random, (0.9, 1.0, 1.1)))
    pieces = studio.pieces(text, voice, speed)
    pauses = [_pause_length(random, after=piece) for piece in text.split("|")[:-1]]
    take = _answered(kind, text.replace(" |", ""), pieces, pauses, human=False)
    return replace(take, sound=_at_level(take.sound, random))


def _answered(
    kind: str, text: str, pieces: list[Sound], pauses: list[float], *, human: bool
) -> Take:
    """Pieces of speech with pauses between them, each pause from sound to sound."""
    parts: list[Sound] = []
    speech: list[tuple[float, float]] = []
    at = 0.0
    for piece, pause in zip(pieces, [*pauses, 0.0], strict=True):
        piece = _trimmed(piece)
        first, last = sounds.extent(piece)
        speech.append((at + first, at + last))
        parts += [piece, _stillness(piece, pause - BEFORE - BEHIND)]
        at += sounds.seconds_of(parts[-2]) + sounds.seconds_of(parts[-1])
    sound = np.concatenate(parts)
    if human:
        sound = sounds.set_loudness(sound, LEVEL)
    note = " ".join(f"{1000 * pause:.0f}" for pause in pauses)
    return Take(kind, text, human, "answer", sound, tuple(speech), note=note)


def _pick(random: Random, choices):
    return choices[int(random.integers(len(choices)))]


def _pause_length(random: Random, after: str = "") -> float:
    whole = after.rstrip().endswith((".", "?", "!"))
    return round(float(random.uniform(*(SENTENCE_PAUSES if whole else PAUSES))), 2)


def _person(studio: Studio, random: Random, at_least: float = 0.0) -> tuple[str, Sound]:
    long_enough = [p for p in studio.people if sounds.seconds_of(p[1]) >= at_least]
    return _pick(random, long_enough)


def _at_level(sound: Sound, random: Random) -> Sound:
    return sounds.set_loudness(sound, LEVEL + float(random.uniform(-5, 5)))


def _trimmed(sound: Sound) -> Sound:
    """From 20 ms before its first sound to 50 ms after its last."""
    first, last = sounds.extent(sound)
    start, end = max(0.0, first - BEFORE), last + BEHIND
    return sound[round(start * sounds.RATE) : round(end * sounds.RATE)]


def _stillness(sound: Sound, seconds: float) -> Sound:
    """Noise as soft as the softest moments of the recording: a microphone is never dead."""
    floor = float(np.percentile(sounds.levels(sound), 3))
    size = max(0, round(seconds * sounds.RATE))
    return np.random.default_rng(size).normal(0.0, floor, size).astype(np.float32)


def _quiet_moments(sound: Sound, most: int) -> list[float]:
    """Seconds of the quietest 50 ms, at least 0.8 s from the ends and from each other."""
    found = np.convolve(sounds.levels(sound), np.ones(5) / 5, "same")
    found[:80] = found[-80:] = np.inf
    cuts: list[float] = []
    for _ in range(most):
        quietest = int(np.argmin(found))
        if not np.isfinite(found[quietest]):
            break
        cuts.append(quietest / 100)
        found[max(0, quietest - 80) : quietest + 80] = np.inf
    return sorted(cuts)


def _wav_read(path: Path) -> Sound:
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


def _wav_write(path: Path, sound: Sound) -> None:
    part = path.with_suffix(".part")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    part.replace(path)
