"""The wheel as an integrator installs it: built without a network, the same bytes each time."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# Nothing of ours on the path: -I leaves out PYTHONPATH and the folder, -S the installed packages.
ALONE = [sys.executable, "-I", "-S", "-c"]


def build(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "flit_core.wheel", str(PACKAGE), "--outdir", str(folder)],
        env=os.environ | {"SOURCE_DATE_EPOCH": "315532800", "http_proxy": "http://127.0.0.1:9"},
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_is_typed_repeatable_and_needs_nothing(tmp_path):
    one, two = build(tmp_path / "one"), build(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    assert one.name == "useathos_webhooks-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(one) as wheel:
        names = wheel.namelist()
        metadata = wheel.read("useathos_webhooks-1.0.0.dist-info/METADATA").decode()
    assert "useathos_webhooks/py.typed" in names
    assert not [name for name in names if "test" in name]
    assert "Requires-Dist" not in metadata
    code = f"import sys; sys.path.insert(0, {str(one)!r}); import useathos_webhooks as w; w.verify"
    subprocess.run([*ALONE, code], check=True, timeout=60)
