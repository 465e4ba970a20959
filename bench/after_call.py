"""How long the score takes after a call, and that nobody's silence or noise becomes a sentence.

    python -m bench.after_call --minutes 3 10      # an `up` of its own in a temporary folder
    python -m bench.after_call --quiet-minutes 30  # also silence, then noise, on the rep's channel
    python -m bench.after_call --minutes 10 --beside 2  # while two people talk with the persona

Measured from the moment the call is due (its end) to its score in the database; the calls run one
after the other. The persona speaks in all of them, so its lines stand in the transcript.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.dialogues import LONG, RATE, Dialogue, converse, voices
from bench.loop import LINES, percentile
from bench.product import CallFacts, Database, Seeded, Seeder, running_product, seeding
from tests.acoustics import timings
from tests.browser_call import browser_call
from tests.clips import Clip, spoken
from tests.conftest import Product

LOUDNESS = 0.03  # RMS of the noises, of full scale: a loud room
SLOWEST = 6.0  # seconds of work for a second of sound, past which the bench gives up

Sounds = dict[tuple[str, str], np.ndarray]


def level(sound: np.ndarray, loudness: float = LOUDNESS) -> np.ndarray:
    """As int16 with that RMS."""
    scaled = sound / np.sqrt(np.mean(sound**2)) * loudness * 32768
    return scaled.clip(-32768, 32767).astype(np.int16)


def white(seconds: float, chance: np.random.Generator) -> np.ndarray:
    return level(chance.normal(size=round(seconds * RATE)))


def hum(seconds: float) -> np.ndarray:
    """The mains and its overtones, swelling slowly."""
    at = np.arange(round(seconds * RATE)) / RATE
    tones = enumerate((60, 120, 180, 300), start=1)
    sound = sum(np.sin(2 * np.pi * hertz * at) / number for number, hertz in tones)
    return level(sound * (0.7 + 0.3 * np.sin(2 * np.pi * 0.2 * at)))


def babble(seconds: float, chance: np.random.Generator, sounds: Sounds) -> np.ndarray:
    """Eight voices at once, played backwards: the sound of a room, without a word in it."""
    length = round(seconds * RATE)
    crowd = np.zeros(length)
    everything = np.concatenate(list(sounds.values()))[::-1].astype(float)
    loop = np.tile(everything, -(-length // len(everything)))
    for _ in range(8):
        crowd += np.roll(loop, int(chance.integers(len(everything))))[:length]
    return level(crowd)


def noises(seconds: float, sounds: Sounds, seed: int = 1) -> np.ndarray:
    """A third each of white noise, a room full of voices, and hum."""
    chance, third = np.random.default_rng(seed), seconds / 3
    return np.concatenate((white(third, chance), babble(third, chance, sounds), hum(third)))


def quiet_dialogues(seconds: float, sounds: Sounds) -> dict[str, Dialogue]:
    """Calls in which the rep says nothing."""
    channels = {
        "silence": np.zeros(round(seconds * RATE), np.int16),
        "noise": noises(seconds, sounds),
    }
    return {
        name: converse(list(sounds), sounds, seconds=seconds, rep=rep)
        for name, rep in channels.items()
    }


def process(
    seeder: Seeder, database: Database, dialogue: Dialogue, path: Path
) -> tuple[Seeded, CallFacts, float]:
    """Seed one call and wait for its end; seconds from due to over."""
    seconds = len(dialogue.rep) / RATE
    seeded = seeder.call(dialogue.save(path))
    (facts,) = database.wait([seeded], lambda call: call.over, 120 + SLOWEST * seconds)
    if not facts.over:
        raise RuntimeError(f"the call is still {facts}")
    waited = time.time() if facts.scored_at is None else facts.scored_at.timestamp()
    return seeded, facts, waited - seeded.due


def speed_report(seeder: Seeder, database: Database, minutes: float, sounds: Sounds) -> bool:
    before = os.getloadavg()[0]
    dialogue = converse(list(sounds), sounds, seconds=60 * minutes)
    path = database.var / f"speech-{minutes:g}.npz"
    _, facts, waited = process(seeder, database, dialogue, path)
    good = facts.stage == "scored" and facts.scorecards == 1
    print(
        f"speed: a call of {minutes:g} min is {facts.stage} {waited:.1f} s after its end"
        f" ({facts.rep_lines} lines of the rep); load {before:.1f} before,"
        f" {os.getloadavg()[0]:.1f} after",
        flush=True,
    )
    return good


def quiet_report(name: str, seeder: Seeder, database: Database, dialogue: Dialogue) -> bool:
    _, facts, waited = process(seeder, database, dialogue, database.var / f"{name}.npz")
    good = (facts.stage, facts.failure, facts.rep_lines) == ("failed", "rep_never_spoke", 0)
    print(
        f"{name}: {len(dialogue.rep) / RATE / 60:.1f} min, {facts.rep_lines} lines of the rep,"
        f" {facts.lines} in all, {facts.stage} {facts.failure} after {waited:.1f} s;"
        f" load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return good


class Caller(threading.Thread):
    """A rep who talks with the persona in a Chromium until `stop` is set."""

    def __init__(self, url: str, clips: list[Clip], stop: threading.Event) -> None:
        super().__init__()
        self.live = threading.Event()
        self.waits: list[float] = []  # mouth to ear, seconds
        self.cut_off = 0
        self._url, self._clips, self._stop_talking = url, clips, stop

    def run(self) -> None:
        with browser_call(self._url) as call:
            call.start()
            call.wait_for_persona(utterances=0)
            self.live.set()
            while not self._stop_talking.is_set():
                for clip in self._clips:
                    call.turn(clip.text, clip.wav)
                    if self._stop_talking.is_set():
                        break
            call.end()
            turns = timings(call.recording())
        self.waits = [turn.mouth_to_ear for turn in turns if turn.mouth_to_ear is not None]
        self.cut_off = sum(turn.cut_off for turn in turns)


@contextmanager
def callers(product: Product, number: int) -> Iterator[None]:
    """So many live calls, and how their turns went meanwhile."""
    stop = threading.Event()
    clips = [spoken(line, product.speech_socket, pauses=True) for line in LINES] if number else []
    people = [Caller(product.demo["exampleUrl"], clips, stop) for _ in range(number)]
    for person in people:
        person.start()
    try:
        for person in people:
            if not person.live.wait(60):
                raise RuntimeError("a live call did not begin")
        yield
    finally:
        stop.set()
        for person in people:
            person.join(60)
    waits = [wait for person in people for wait in person.waits]
    if waits:
        print(
            f"beside: {number} live calls, {len(waits)} turns, mouth to ear"
            f" p50 {percentile(waits, 50)} p95 {percentile(waits, 95)} ms,"
            f" cut off {sum(person.cut_off for person in people)}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="*", default=[3, 10])
    parser.add_argument("--beside", type=int, default=0, help="live calls meanwhile")
    parser.add_argument("--quiet-minutes", type=float, default=10)
    parser.add_argument("--dialogue", type=Path, help="dialogue.npz of a run with --keep")
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    options = parser.parse_args()
    with running_product(options.keep) as product, seeding(product.var) as seeder:
        print(f"var {product.var}, ready after {product.ready_seconds:.1f} s", flush=True)
        database = Database(product.var)
        if options.dialogue:
            sounds = Dialogue.load(options.dialogue).sounds()
        else:
            sounds = voices(LONG, product.speech_socket)
            converse(LONG, sounds).save(product.var / "dialogue.npz")
        with callers(product, options.beside):
            good = [speed_report(seeder, database, each, sounds) for each in options.minutes]
        if options.quiet_minutes:
            quiet = quiet_dialogues(60 * options.quiet_minutes, sounds)
            good += [quiet_report(name, seeder, database, quiet[name]) for name in quiet]
    raise SystemExit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
