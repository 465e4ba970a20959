"""Whisper's weights from CTranslate2's file to the one openai-whisper loads. Nothing is fetched.

Both engines then hear with the same numbers: the file is float16, and float16 is written.
Reading and renaming need numpy alone; only writing needs torch, which is an optional extra.
"""

import base64
import gzip
import hashlib
import json
import os
import pickle
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[Any]]

SOURCE_FOLDER = "whisper-base"  # in the models folder; `speech.assemble` makes and checks it
CONVERTED = Path("whisper-openai") / "base.pt"
EXTRA_MISSING = "openai-whisper is not installed: run `make openai-whisper`."

_FORMAT = 1  # raise it when what is written changes
_VERSION, _SPECIFICATION = 6, "WhisperSpec"
_TYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 4: np.dtype("<f2")}
_HEAD_SIZE = 64  # in every size of Whisper
_MOST_TENSORS, _MOST_DIMENSIONS = 4096, 4


class WeightsRefused(Exception):
    """The weights cannot be converted. The text is for the person at the terminal."""


# --- CTranslate2's file -----------------------------------------------------------------------
def ct2_read(path: Path) -> Tensors:
    """Every tensor of a float16 or float32 `model.bin`, under its own names and its aliases."""
    try:
        file = _Reader(path.read_bytes(), path.name)
    except FileNotFoundError as problem:
        raise WeightsRefused(
            f"{path.parent.name}/{path.name} is not in the models folder: "
            "run `python -m speech.assemble --models FOLDER`."
        ) from problem
    version, specification, _revision = file.number("I"), file.text(), file.number("I")
    if (version, specification) != (_VERSION, _SPECIFICATION):
        raise WeightsRefused(f"{path.name} is not a Whisper model of CTranslate2 ({version}).")
    tensors: Tensors = {}
    for _ in range(file.count(_MOST_TENSORS)):
        name = file.text()
        tensors[name] = file.tensor(name)
    for _ in range(file.count(_MOST_TENSORS)):
        alias, name = file.text(), file.text()
        tensors[alias] = _tensor(tensors, name)
    return tensors


class _Reader:
    """Walks through the bytes; what breaks off or makes no sense is refused."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        self._at = 0

    def number(self, form: str) -> int:
        (value,) = struct.unpack("<" + form, self._take(struct.calcsize("<" + form)))
        return int(value)

    def count(self, most: int) -> int:
        count = self.number("I")
        if count > most:
            raise WeightsRefused(f"{self._name} is damaged: it claims {count} entries.")
        return count

    def text(self) -> str:
        try:
            return self._take(self.number("H")).rstrip(b"\0").decode("ascii")
        except UnicodeDecodeError as problem:
            raise WeightsRefused(f"{self._name} is damaged: a name is no text.") from problem

    def tensor(self, name: str) -> NDArray[Any]:
        dimensions = self.number("B")
        if dimensions > _MOST_DIMENSIONS:
            raise WeightsRefused(f"{self._name} is damaged: {name} has {dimensions} dimensions.")
        shape = [self.number("I") for _ in range(dimensions)]
        kind = _TYPES.get(self.number("B"))
        data = self._take(self.number("I"))
        if kind is None:
            if shape:
                raise WeightsRefused(f"{name} is neither float16 nor float32: a quantised model.")
            return np.frombuffer(data, np.uint8)  # a flag of the decoder
        try:
            return np.frombuffer(data, kind).reshape(shape)
        except ValueError as problem:
            raise WeightsRefused(f"{self._name} is damaged: {name} has a wrong size.") from problem

    def _take(self, size: int) -> bytes:
        taken = self._content[self._at : self._at + size]
        if len(taken) < size:
            raise WeightsRefused(f"{self._name} breaks off at byte {len(self._content)}.")
        self._at += size
        return taken


# --- OpenAI's names ---------------------------------------------------------------------------
def openai_state(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """The same tensors under the names of openai-whisper's modules."""
    state: Tensors = {}
    for convolution in ("conv1", "conv2"):
        _linear(tensors, f"encoder/{convolution}", state, f"encoder.{convolution}")
    _norm(tensors, "encoder/layer_norm", state, "encoder.ln_post")
    _norm(tensors, "decoder/layer_norm", state, "decoder.ln")
    state["decoder.token_embedding.weight"] = _tensor(tensors, "decoder/embeddings/weight")
    for side in ("encoder", "decoder"):
        positions = _tensor(tensors, f"{side}/position_encodings/encodings")
        state[f"{side}.positional_embedding"] = positions
        for layer in range(_layers(tensors, side)):
            _block(tensors, f"{side}/layer_{layer}", state, f"{side}.blocks.{layer}")
    return state


def dimensions(state: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """The sizes openai-whisper builds its modules from."""
    audio_state, mels, _ = _tensor(state, "encoder.conv1.weight").shape
    vocabulary, text_state = _tensor(state, "decoder.token_embedding.weight").shape
    return {
        "n_mels": mels,
        "n_audio_ctx": len(_tensor(state, "encoder.positional_embedding")),
        "n_audio_state": audio_state,
        "n_audio_head": audio_state // _HEAD_SIZE,
        "n_audio_layer": _blocks(state, "encoder"),
        "n_vocab": vocabulary,
        "n_text_ctx": len(_tensor(state, "decoder.positional_embedding")),
        "n_text_state": text_state,
        "n_text_head": text_state // _HEAD_SIZE,
        "n_text_layer": _blocks(state, "decoder"),
    }


def alignment_heads(config: Path, *, layers: int, heads: int) -> str:
    """The heads whose attention follows the words, in the form `set_alignment_heads` takes."""
    try:
        pairs = json.loads(config.read_text("utf-8"))["alignment_heads"]
        mask = np.zeros((layers, heads), bool)
        for layer, head in pairs:
            mask[layer, head] = True
    except (OSError, ValueError, KeyError, TypeError, IndexError) as problem:
        raise WeightsRefused(f"{config.name} names no usable alignment heads.") from problem
    if not mask.any():
        raise WeightsRefused(f"{config.name} names no alignment heads.")
    return base64.b85encode(gzip.compress(mask.tobytes(), mtime=0)).decode("ascii")


def _block(source: Mapping[str, NDArray[Any]], name: str, state: Tensors, block: str) -> None:
    _norm(source, f"{name}/self_attention/layer_norm", state, f"{block}.attn_ln")
    _fused(source, f"{name}/self_attention/linear_0", state, f"{block}.attn", "query key value")
    _linear(source, f"{name}/self_attention/linear_1", state, f"{block}.attn.out")
    if f"{name}/attention/linear_0/weight" in source:  # the decoder listens to the encoder
        _norm(source, f"{name}/attention/layer_norm", state, f"{block}.cross_attn_ln")
        _linear(source, f"{name}/attention/linear_0", state, f"{block}.cross_attn.query")
        _fused(source, f"{name}/attention/linear_1", state, f"{block}.cross_attn", "key value")
        _linear(source, f"{name}/attention/linear_2", state, f"{block}.cross_attn.out")
    _norm(source, f"{name}/ffn/layer_norm", state, f"{block}.mlp_ln")
    _linear(source, f"{name}/ffn/linear_0", state, f"{block}.mlp.0")
    _linear(source, f"{name}/ffn/linear_1", state, f"{block}.mlp.2")


def _linear(source: Mapping[str, NDArray[Any]], name: str, state: Tensors, module: str) -> None:
    state[f"{module}.weight"] = _tensor(source, f"{name}/weight")
    state[f"{module}.bias"] = _tensor(source, f"{name}/bias")


def _norm(source: Mapping[str, NDArray[Any]], name: str, state: Tensors, module: str) -> None:
    state[f"{module}.weight"] = _tensor(source, f"{name}/gamma")
    state[f"{module}.bias"] = _tensor(source, f"{name}/beta")


def _fused(
    source: Mapping[str, NDArray[Any]], name: str, state: Tensors, module: str, parts: str
) -> None:
    """CTranslate2 keeps projections of one input in one matrix. Whisper's key has no bias."""
    names = parts.split()
    weights = np.split(_tensor(source, f"{name}/weight"), len(names))
    biases = np.split(_tensor(source, f"{name}/bias"), len(names))
    for part, weight, bias in zip(names, weights, biases, strict=True):
        state[f"{module}.{part}.weight"] = weight
        if part != "key":
            state[f"{module}.{part}.bias"] = bias
        elif np.any(bias):
            raise WeightsRefused(f"{name} has a bias for its keys: not a Whisper model.")


def _tensor(tensors: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return tensors[name]
    except KeyError as problem:
        raise WeightsRefused(f"The weights lack {name}.") from problem


def _layers(tensors: Mapping[str, NDArray[Any]], side: str) -> int:
    start = f"{side}/layer_"
    found = {name[len(start) :].split("/")[0] for name in tensors if name.startswith(start)}
    return sum(number.isdecimal() for number in found)  # layer_norm is none


def _blocks(state: Mapping[str, NDArray[Any]], side: str) -> int:
    start = f"{side}.blocks."
    return len({name[len(start) :].split(".")[0] for name in state if name.startswith(start)})


# --- the converted file -----------------------------------------------------------------------
def convert(models: Path) -> bool:
    """Make `CONVERTED` in the models folder. False: it was there, of these very weights."""
    try:
        import torch  # an optional extra, so not at the top
    except ImportError as problem:
        raise WeightsRefused(EXTRA_MISSING) from problem
    weights, target = models / SOURCE_FOLDER / "model.bin", models / CONVERTED
    tensors = ct2_read(weights)
    with weights.open("rb") as file:
        source = f"{_FORMAT}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if _converted_from(target) == source:
        return False
    state = openai_state(tensors)
    sizes = dimensions(state)
    heads = alignment_heads(
        models / SOURCE_FOLDER / "config.json",
        layers=sizes["n_text_layer"],
        heads=sizes["n_text_head"],
    )
    checkpoint = {
        "dims": sizes,
        "model_state_dict": {name: torch.from_numpy(part.copy()) for name, part in state.items()},
        "alignment_heads": heads,
        "source": source,
    }
    _save(checkpoint, target)
    return True


def _converted_from(path: Path) -> str:
    import torch

    if not path.is_file():
        return ""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return str(checkpoint["source"])
    except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError):
        return ""  # torn or somebody else's: made again


def _save(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Whole or not at all: a worker never loads half a file."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        try:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
