"""The number of calls that a worker keeps between its starts."""

import json

import numpy as np
import pytest

from calls.live import measuring
from calls.live.capacity import MOST
from calls.live.measuring import UNMEASURED, Measuring, machine
from calls.ports import ProviderUnavailable


class Engines:
    """Speaks a tone and knows its words at once; `fails` as an engine that is away."""

    def __init__(self, *, fails: bool = False) -> None:
        self.spoken, self._fails = 0, fails
        self.default = self.background_voice = self.transcriber = self.sentence_model = self

    async def speak(self, text, *, voice):
        self.spoken += 1
        if self._fails:
            raise ProviderUnavailable("away")
        yield (8000 * np.sin(np.arange(48_000) / 20)).astype(np.int16)

    async def live(self, pcm, *, deadline):
        return None

    async def complete(self, text):
        return 0.9

    def speech_detector(self):
        return self

    def probability(self, frame) -> float:
        return 0.9


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "live" / "capacity.json"


async def test_the_second_start_goes_by_what_the_first_measured(kept):
    engines = Engines()
    slots = await Measuring(engines, kept=kept, own_speech=False).slots([])
    assert 1 <= slots <= MOST and engines.spoken == 1
    again = Engines()
    assert await Measuring(again, kept=kept, own_speech=False).slots([]) == slots
    assert again.spoken == 0
    assert await Measuring(again, kept=kept, own_speech=False).measured([]) >= 1
    assert again.spoken == 1


@pytest.mark.parametrize(
    "written",
    ["", "[]", "{}", '{"slots": 0}', '{"slots": 31}', '{"slots": "4"}', '{"slots": true}', "\0"],
)
async def test_a_file_that_cannot_be_believed_is_measured_anew(kept, written):
    kept.parent.mkdir()
    try:
        content = json.dumps(json.loads(written) | {"machine": machine(own_speech=False)})
    except (ValueError, TypeError):
        content = written
    kept.write_text(content)
    engines = Engines()
    await Measuring(engines, kept=kept, own_speech=False).slots([])
    assert engines.spoken == 1
    assert json.loads(kept.read_text())["machine"] == machine(own_speech=False)


async def test_the_number_of_another_machine_is_measured_anew(kept):
    await Measuring(Engines(), kept=kept, own_speech=False).slots([])
    engines = Engines()
    await Measuring(engines, kept=kept, own_speech=True).slots([])
    assert engines.spoken == 1


async def test_engines_that_are_away_leave_the_number_we_are_made_for(kept, monkeypatch):
    monkeypatch.setattr(measuring, "PAUSE", 0.0)
    engines = Engines(fails=True)
    assert await Measuring(engines, kept=kept, own_speech=True).slots([]) == UNMEASURED
    assert engines.spoken == measuring.TRIES and not kept.exists()
