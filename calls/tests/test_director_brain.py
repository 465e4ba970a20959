import logging

import numpy as np
import pytest

from calls.director.pack import DIFFICULTIES
from calls.ports import Heard, ProviderRefused, ProviderUnavailable
from calls.providers import director
from calls.providers.director import DirectorBrain, all_lines, likely_lines, prepare
from calls.tests.director_dialogues import GOOD, PUSHY
from calls.tests.director_help import minilm, pack, pick_up, say, shipped


class AwayEmbedder:
    """A speech process that does not answer."""

    def __init__(self):
        self.calls = 0

    async def embed(self, texts):
        self.calls += 1
        raise ProviderUnavailable("away")


class CountingEmbedder:
    """Vectors that only depend on the text, and how many were asked for."""

    def __init__(self, turn=0.0):
        self.texts = 0
        self.turn = turn

    async def embed(self, texts):
        self.texts += len(texts)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text):
        letters = np.zeros(384, np.float32)
        for letter in text.encode():
            letters[letter] += 1.0
        letters = np.roll(letters, int(self.turn))
        return letters / np.linalg.norm(letters)


@pytest.fixture(autouse=True)
def _nothing_ready():
    director._ready.clear()
    yield
    director._ready.clear()


async def test_vectors_are_made_once_and_found_again_by_another_process(tmp_path):
    embedder = CountingEmbedder()
    await prepare(shipped(), embedder, folder=tmp_path)
    made = embedder.texts
    await prepare(shipped(), embedder, folder=tmp_path)  # ready in this process
    assert embedder.texts == made > 500
    director._ready.clear()  # another process
    await prepare(shipped(), embedder, folder=tmp_path)
    assert embedder.texts == made + 1  # only the probe that tells the model
    assert len(list(tmp_path.iterdir())) == 1


async def test_another_model_or_a_broken_file_makes_them_anew(tmp_path):
    await prepare(shipped(), CountingEmbedder(), folder=tmp_path)
    director._ready.clear()
    other = CountingEmbedder(turn=7)
    await prepare(shipped(), other, folder=tmp_path)
    assert other.texts > 500
    director._ready.clear()
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"half a file")
    again = CountingEmbedder()
    await prepare(shipped(), again, folder=tmp_path)
    assert again.texts > 500


async def test_without_vectors_the_persona_still_answers(caplog, tmp_path):
    away = AwayEmbedder()
    with caplog.at_level(logging.WARNING):
        await prepare(shipped(), away, folder=tmp_path)
        brain = DirectorBrain(shipped(), "Advanced", 3, away)
        await pick_up(brain)
        assert "Patel" in await say(brain, "Which doctors do you see?")
    assert not brain.has_vectors
    assert [r.message for r in caplog.records] == ["pack prepared without sentence vectors"]


async def test_an_embedder_that_goes_away_in_a_call_is_asked_once(caplog):
    await prepare(shipped(), CountingEmbedder())
    away = AwayEmbedder()
    brain = DirectorBrain(shipped(), "Advanced", 3, away)
    with caplog.at_level(logging.WARNING):
        for text in GOOD[:5]:
            assert await say(brain, text)
    assert away.calls == 1
    assert len(caplog.records) == 1
    assert "Carol" not in caplog.text


async def test_a_pack_prepared_in_vain_is_tried_again():
    await prepare(shipped(), AwayEmbedder())
    embedder = CountingEmbedder()
    await prepare(shipped(), embedder)
    assert DirectorBrain(shipped(), "Advanced", 3, embedder).has_vectors


async def test_few_packs_are_kept_ready(monkeypatch):
    monkeypatch.setattr(director, "MOST_READY", 2)
    for number in range(4):
        await prepare(shipped() | {"title": f"Title {number}"}, None)
    assert len(director._ready) == 2


async def test_a_brain_goes_on_in_another_process():
    first = DirectorBrain(shipped(), "Elite", 8, None)
    await pick_up(first)
    for text in GOOD[:6]:
        await say(first, text)
    second = DirectorBrain(shipped(), "Elite", 1, None)
    second.restore(first.snapshot())
    assert [await say(second, t) for t in GOOD[6:]] == [await say(first, t) for t in GOOD[6:]]
    assert first.snapshot() == second.snapshot()
    with pytest.raises(ProviderRefused):
        second.restore({"format": 1})


async def test_a_reply_taken_back_leaves_no_trace():
    brain = DirectorBrain(shipped(), "Advanced", 8, None)
    await pick_up(brain)
    before = brain.snapshot()
    _ = [line async for line in brain.reply(Heard("Which doctors", 0, 1))]
    brain.restore(before)
    assert brain.snapshot() == before
    whole = await say(brain, "Which doctors do you see?")
    assert "Patel" in whole


async def test_silence_and_interruption_go_through_the_port():
    brain = DirectorBrain(shipped(), "Beginner", 8, None)
    await pick_up(brain)
    assert [line async for line in brain.silence(1.0)] == []
    assert [line async for line in brain.silence(8.0)]
    _ = [line async for line in brain.reply(Heard("Which doctors do you see?", 0, 1))]
    brain.spoken("I", complete=False)
    assert brain.state.revealed == ()


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
async def test_every_line_that_is_spoken_is_among_the_lines_to_prepare(difficulty):
    authored = all_lines(pack(), difficulty)
    texts = {line.text for line in authored}
    assert len(texts) == len(authored)
    assert {line.voice for line in authored} == {pack().persona.voice}
    assert {line.text for line in likely_lines(pack(), difficulty)} <= texts
    for seed in range(4):
        brain = DirectorBrain(shipped(), difficulty, seed, None)
        spoken = {line.text async for line in brain.opening()}
        for text in (*GOOD, *PUSHY, "hold on", "say that again", "are you a robot"):
            lines = [line async for line in brain.reply(Heard(text, 0, 1))]
            spoken |= {line.text for line in lines}
            brain.spoken(" ".join(line.text for line in lines), complete=True)
        assert spoken <= texts


@pytest.mark.vectors
async def test_the_real_model_prepares_a_pack_and_understands(tmp_path):
    await prepare(shipped(), minilm(), folder=tmp_path)
    brain = DirectorBrain(shipped(), "Beginner", 3, minilm())
    await pick_up(brain)
    assert brain.has_vectors
    lines = [
        line async for line in brain.reply(Heard("who looks after you when you get sick", 0, 1))
    ]
    assert "Patel" in " ".join(line.text for line in lines)
    assert lines[0].cue["hearing"]["acts"][0][2] == "likeness"
