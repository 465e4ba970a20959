"""Vectors of example sentences, made once by a model and kept as files between starts."""

import asyncio
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np

from calls.ports import Embedder, Vectors

BATCH_SECONDS = 60.0  # for one batch when a process starts
EMBED_BATCH = 64

_PROBE = "Do you have a few minutes to talk about your plan?"


async def vectors_kept(
    texts: Sequence[str], embedder: Embedder, folder: Path | None = None
) -> Vectors:
    """One unit vector per text, in order; from `folder` when the same model made them before."""
    if folder is None:
        return await _embed(embedder, texts)
    probe = await _embed(embedder, [_PROBE])
    path = _path(folder, texts)
    kept = await asyncio.to_thread(_read, path, probe, len(texts))
    if kept is None:
        kept = await _embed(embedder, texts)
        await asyncio.to_thread(_write, path, probe, kept)
    return kept


async def _embed(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    batches = []
    for start in range(0, len(texts), EMBED_BATCH):
        async with asyncio.timeout(BATCH_SECONDS):
            batches.append(await embedder.embed(texts[start : start + EMBED_BATCH]))
    return np.concatenate(batches)


def _path(folder: Path, texts: Sequence[str]) -> Path:
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return folder / f"examples-{digest[:32]}.npz"


def _read(path: Path, probe: Vectors, count: int) -> Vectors | None:
    """Kept vectors, if the same model made them: its vector of one sentence tells."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            same = kept["probe"].shape == probe.shape and (kept["probe"] * probe).sum() > 0.999
            vectors: Vectors = kept["vectors"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # not there, or half written by somebody else: made anew
    return vectors if same and vectors.shape == (count, probe.shape[1]) else None


def _write(path: Path, probe: Vectors, vectors: Vectors) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}-{uuid4().hex}.npz")
    try:
        with draft.open("xb") as file:
            np.savez(file, probe=probe, vectors=vectors)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
