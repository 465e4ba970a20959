import hashlib
import os

import pytest

from speech import assemble as module
from speech.assemble import Unassembled, assemble
from speech.weights import WEIGHTS, Part, Weight

HALVES = (b"first half, ", b"second half")
WHOLE = b"".join(HALVES)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package that carries a file in two parts."""
    folder = tmp_path / "site" / "carrier_of_weights"
    folder.mkdir(parents=True)
    for number, half in enumerate(HALVES):
        (folder / f"part{number}").write_bytes(half)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def weight(sha256: str = hashlib.sha256(WHOLE).hexdigest(), package="carrier_of_weights"):
    parts = tuple(Part("carrier==1.0", package, f"part{number}") for number in range(2))
    return Weight("model/whole.bin", sha256, parts)


def test_the_parts_become_one_checked_file(tmp_path, package):
    assemble(tmp_path / "models", (weight(),))
    assert (tmp_path / "models/model/whole.bin").read_bytes() == WHOLE


def test_a_second_run_reads_no_file(tmp_path, package, monkeypatch):
    assemble(tmp_path / "models", (weight(),))
    monkeypatch.setattr(module, "_verified", lambda *_: pytest.fail("hashed again"))
    assemble(tmp_path / "models", (weight(),))


def test_a_damaged_file_is_made_again(tmp_path, package):
    assemble(tmp_path / "models", (weight(),))
    (tmp_path / "models/model/whole.bin").write_bytes(b"x" * len(WHOLE))
    assemble(tmp_path / "models", (weight(),))
    assert (tmp_path / "models/model/whole.bin").read_bytes() == WHOLE


def test_a_touched_but_right_file_is_kept(tmp_path, package):
    assemble(tmp_path / "models", (weight(),))
    path = tmp_path / "models/model/whole.bin"
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    assemble(tmp_path / "models", (weight(),))
    assert path.stat().st_ino == inode


def test_a_corrupt_package_is_named_and_leaves_nothing(tmp_path, package):
    (package / "part1").write_bytes(b"second hal!")
    with pytest.raises(Unassembled, match=r"carrier==1\.0"):
        assemble(tmp_path / "models", (weight(),))
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(Unassembled, match=r"carrier==1\.0 is not installed"):
        assemble(tmp_path / "models", (weight(package="no_such_package"),))


def test_a_package_without_its_file_is_named(tmp_path, package):
    (package / "part1").unlink()
    with pytest.raises(Unassembled, match="lacks its file part1"):
        assemble(tmp_path / "models", (weight(),))


@pytest.mark.parametrize(
    ("script", "said"),
    [("exit 1", "could not fetch kokoro-js"), ("exit 0", "brought no archive of kokoro-js")],
)
def test_an_npm_package_that_cannot_be_had_is_named(tmp_path, monkeypatch, script, said):
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/bin:/usr/bin")
    voice = Weight("voices/a.bin", "0" * 64, npm_member="package/voices/a.bin")
    with pytest.raises(Unassembled, match=said):
        assemble(tmp_path / "models", (voice,))


def test_every_weight_has_a_name_a_hash_and_one_origin():
    assert len({weight.name for weight in WEIGHTS}) == len(WEIGHTS)
    for found in WEIGHTS:
        assert len(found.sha256) == 64
        assert bool(found.parts) != bool(found.npm_member)
