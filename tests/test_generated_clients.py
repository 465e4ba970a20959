"""Clients generated from the served document complete the loop against the running product."""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.conftest import ROOT, Product

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
TYPESCRIPT = HERE / "typescript-client"
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def document(product: Product, tmp_path_factory) -> Path:
    """The document as an integrator fetches it."""
    file = tmp_path_factory.mktemp("document") / "openapi.json"
    with urlopen(f"{server(product)}/openapi.json", timeout=15) as answer:
        file.write_bytes(answer.read())
    return file


def server(product: Product) -> str:
    return f"{product.demo['baseUrl']}/api/external/v1"


def run(*command: str | Path, folder: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def assert_loop_complete(said: str) -> None:
    facts = json.loads(said.strip().splitlines()[-1])
    assert facts["callId"].startswith("athos_call_")
    assert 0 <= facts["overallScore"] <= 100
    assert facts["turns"] > 4
    assert facts["checks"] > 10
    assert facts["quote"]
    assert facts["refused"] == "CALL_NOT_FOUND"


def test_a_typescript_client(product, document):
    built = TYPESCRIPT / "built"
    npm = ("npm", "run", "--silent")
    run(*npm, "generate", "--", document, "-o", built / "athos.d.ts", folder=TYPESCRIPT)
    run(*npm, "compile", folder=TYPESCRIPT)  # its types fit too
    key = product.demo["testApiKey"]
    assert_loop_complete(run("node", built / "loop.js", server(product), key))


def test_a_python_client(product, document, tmp_path):
    package = tmp_path / "athos_client"
    generate = (TOOLS / "openapi-python-client", "generate", "--meta", "none")
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"  # it formats what it made with ruff
    run(*generate, "--path", document, "--output-path", package, "--fail-on-warning", PATH=path)
    loop = (sys.executable, HERE / "python_client_loop.py")
    key = product.demo["testApiKey"]
    assert_loop_complete(run(*loop, server(product), key, PYTHONPATH=str(tmp_path)))
