"""Engines behind servers that nobody here wrote: words, hearing and voice (bench/peers.py)."""

import os
from pathlib import Path

import pytest

from bench import providers as bench
from bench.peers import chat_server, ears_server, peers_python, voice_server
from tests.speech_process import models_folder

pytestmark = [pytest.mark.prove, pytest.mark.models, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def python():
    """The peers' venv: `PEERS_VENV`, else made under var; llama.cpp is compiled for ten minutes."""
    made = Path(__file__).resolve().parents[2] / "var" / "peers"
    return peers_python(Path(os.environ.get("PEERS_VENV", made)))


async def test_a_model_words_what_the_persona_means_and_stops_when_left(python, tmp_path):
    with chat_server(python, tmp_path) as base:
        spoken = await bench.talk(base, bench.shipped_pack(), turns=6, patience=20.0)
        hasty = await bench.talk(base, bench.shipped_pack(), turns=1, patience=0.01)
        left = await bench.interrupted(base)
    assert len(spoken) == 6 and all(turn.text for turn in spoken)
    assert "TimeoutError" not in {turn.outcome for turn in spoken}
    assert [turn.outcome for turn in hasty] == ["TimeoutError"] and hasty[0].text
    # A model of this size is wrong more often than not; what it may not say was not heard.
    known = {"model", "authored", "out_of_character", "sells", "decides", "invented_figure"}
    assert {turn.outcome for turn in spoken} <= known | {"too_long", "empty"}
    assert left < 60.0  # the long answer was given up, not written to its end


async def test_a_voice_is_heard_again(python, tmp_path):
    models = models_folder()
    with (
        ears_server(python, tmp_path, models / "whisper-base") as ears,
        voice_server(python, tmp_path) as voice,
    ):
        heard = await bench.hear_and_speak(ears, voice, models)
    assert "same plan for a long time" in heard["text"]
    assert 3.0 < heard["seconds"] < 8.0  # at its own pitch: a wrong rate would be heard here
