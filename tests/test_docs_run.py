"""The docs' snippets, run as a reader runs them, against the whole product."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.browser_call import BrowserCall, chromium
from tests.clips import spoken
from tests.conftest import ROOT
from tests.docs_blocks import Block, all_blocks, last_json, named, shape_difference
from tests.receiver import receiver

pytestmark = [pytest.mark.journey, pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(600)]

TSC = ROOT / "node_modules" / ".bin" / "tsc"
SDK_TYPES = ROOT / "sdk" / "dist" / "esm" / "index.d.ts"
SCORED_WITHIN = 240.0  # seconds; generous, since the tests' machine may be busy
CALL = {
    "externalUserId": "rep_8842",
    "externalAgencyId": "agency_chicago",
    "drillKey": "ma-full-sale",
}
MARK = "\n--- block {number} ---\n"
LIVE_PAGES = {"quickstart.md"}  # elsewhere ATHOS_API_KEY is the sandbox's key
BY_PAGE = {
    page: [b for b in all_blocks() if b.page == page and not b.name and not b.not_run]
    for page in sorted({block.page for block in all_blocks()})
}


def pages_with(language: str) -> list[str]:
    return [page for page, found in BY_PAGE.items() if any(b.language == language for b in found)]


@pytest.fixture(scope="session")
def scored_call(product) -> str:
    """A scored call of the sandbox, of the rep and the agency that the pages speak of."""
    call_id = sandbox(product, "POST", "/sandbox/calls", CALL)["callId"]
    end = time.monotonic() + SCORED_WITHIN
    while sandbox(product, "GET", f"/calls/{call_id}/status")["status"] != "scored":
        assert time.monotonic() < end, "the sandbox's call was not scored"
        time.sleep(1)
    return call_id


def sandbox(product, method: str, path: str, body: dict | None = None) -> dict:
    request = Request(
        f"{product.demo['baseUrl']}/api/external/v1{path}",
        method=method,
        data=json.dumps(body).encode() if body else None,
        headers={
            "Authorization": f"Bearer {product.demo['testApiKey']}",
            "Content-Type": "application/json",
        },
    )
    with urlopen(request, timeout=15) as answer:
        return json.loads(answer.read() or b"{}")


def environment(product, page: str = "") -> dict[str, str]:
    """What a page's first block asks its reader to set."""
    demo = product.demo
    return os.environ | {
        "ATHOS_URL": demo["baseUrl"],
        "ATHOS_API_KEY": demo["apiKey" if page in LIVE_PAGES else "testApiKey"],
        "ATHOS_TEST_KEY": demo["testApiKey"],
        "ATHOS_WEBHOOK_SECRET": demo["webhookSecret"],
        "npm_config_audit": "false",
        "npm_config_fund": "false",
    }


def run(command: list[str], folder: Path, settings: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


# --- whole pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", pages_with("sh"))
def test_the_shell_of_a_page_runs_and_answers_as_shown(product, scored_call, tmp_path, page):
    blocks = BY_PAGE[page]
    shell = [block for block in blocks if block.language == "sh"]
    marks = [MARK.format(number=number) for number in range(len(shell))]
    script = "".join(
        f"printf %s '{mark}'\n{at_server(block, product)}\n"
        for mark, block in zip(marks, shell, strict=True)
    )
    (tmp_path / "page.sh").write_text("set -euo pipefail\n" + script)
    printed = run(["bash", "page.sh"], tmp_path, environment(product, page))
    outputs = {}
    for mark, block in zip(marks, shell, strict=True):
        outputs[block.line] = printed.partition(mark)[2].partition("\n--- block ")[0]
    for block in blocks:
        if block.language == "json":
            before = max(line for line in outputs if line < block.line)
            real = last_json(outputs[before])
            assert not (error := shape_difference(json.loads(block.text), real, part=block.part)), (
                f"{block}: {error}"
            )


def at_server(block: Block, product) -> str:
    """The code with the server under test in place of the one that it names."""
    return block.text.replace("https://app.example.com", product.demo["baseUrl"])


@pytest.mark.parametrize("page", pages_with("json"))
def test_the_json_of_a_page_stands_below_what_prints_it(page):
    assert page in pages_with("sh")


@pytest.mark.parametrize("page", pages_with("python"))
def test_the_python_of_a_page_runs(product, scored_call, tmp_path, page):
    for block in BY_PAGE[page]:
        if block.language == "python":
            (tmp_path / "block.py").write_text(block.text)
            assert run([sys.executable, "block.py"], tmp_path, environment(product, page))


@pytest.mark.parametrize("page", pages_with("ts"))
def test_the_typescript_of_a_page_has_no_fault_and_runs(product, scored_call, tmp_path, page):
    programs = [block for block in BY_PAGE[page] if block.language == "ts"]
    in_node = [block for block in programs if "@useathos/sdk" not in block.text]
    compile_ts(tmp_path, {f"block{block.line}.ts": block.text for block in programs})
    for block in in_node:
        command = ["node", f"out/block{block.line}.js"]
        assert run(command, tmp_path, environment(product, page))


@pytest.mark.parametrize("page", pages_with("js"))
def test_the_browser_code_of_a_page_fits_the_sdk(tmp_path, page):
    code = {f"b{b.line}.ts": b.text for b in BY_PAGE[page] if b.language == "js"}
    compile_ts(tmp_path, code, strict=False)


@pytest.mark.parametrize("page", pages_with("html"))
def test_the_addresses_in_the_html_of_a_page_are_served(product, page):
    code = "".join(at_server(b, product) for b in BY_PAGE[page] if b.language == "html")
    addresses = re.findall(rf'"({re.escape(product.demo["baseUrl"])}[^"]*)"', code)
    assert addresses
    for address in addresses:
        with urlopen(address.replace("&site=<your site key>", ""), timeout=15) as answer:
            assert answer.status == 200


GLOBALS = """
declare const startButton: HTMLButtonElement, endButton: HTMLButtonElement;
declare function show(message: string, code?: string): void;
declare function waitForScore(callId: string): void;
"""


def compile_ts(folder: Path, files: dict[str, str], *, strict: bool = True) -> None:
    """Check the files against the SDK as it was built, and write JavaScript to out/."""
    (folder / "node_modules" / "@types").mkdir(parents=True, exist_ok=True)
    (folder / "node_modules" / "@types" / "node").symlink_to(ROOT / "node_modules/@types/node")
    (folder / "node_modules" / "@useathos").mkdir()
    (folder / "node_modules" / "@useathos" / "sdk").symlink_to(ROOT / "sdk")
    webhooks = folder / "node_modules" / "@useathos" / "webhooks"
    webhooks.symlink_to(ROOT / "verify" / "typescript")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "globals.d.ts").write_text(GLOBALS)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\nexport {{}};\n")
    options = {
        "module": "nodenext",
        "target": "es2022",
        "lib": ["es2024", "dom", "dom.iterable"],
        "types": ["node"],
        "strict": strict,
        "skipLibCheck": True,
        "rootDir": ".",
        "outDir": "out",
    }
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "files": ["globals.d.ts", *files]})
    )
    run([str(TSC), "-p", "."], folder, dict(os.environ))


def test_readiness_answers_as_shown(product):
    with urlopen(f"{product.demo['baseUrl']}/readyz", timeout=15) as answer:
        real = json.load(answer)
    assert not (error := shape_difference(json.loads(named("readyz").text), real)), error


# --- webhooks ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def delivery(product):
    """A message that the product signed, with the secret of its endpoint."""
    with receiver() as deliveries:
        endpoint = sandbox(product, "POST", "/webhook-endpoints", {"url": deliveries.url})
        sandbox(product, "POST", "/sandbox/calls", CALL)
        yield deliveries.get(timeout=SCORED_WITHIN), endpoint["secret"]
        sandbox(product, "DELETE", f"/webhook-endpoints/{endpoint['id']}")


def test_the_message_shown_is_the_one_that_comes(delivery):
    shown = json.loads(named("message").text)
    real = delivery[0].body
    assert real.pop("mode") == "test"  # told in words: the sandbox's messages say so
    assert not (error := shape_difference(shown, real)), error


@pytest.mark.parametrize("name", ["verify-stripe", "verify-standardwebhooks", "verify-svix"])
def test_a_library_verifies_what_we_signed_and_nothing_else(delivery, name):
    message, secret = delivery
    code: dict = {}
    exec(compile(named(name).text, name, "exec"), code)
    code["verify"](message.headers, message.raw, secret)
    with pytest.raises(Exception, match=r"(?i)signature"):
        code["verify"](message.headers, message.raw.replace(b"true", b"null"), secret)


def test_the_python_package_installs_from_us_and_verifies_what_we_signed(
    delivery, product, tmp_path
):
    message, secret = delivery
    pip = {"PIP_NO_INDEX": "1", "PIP_TARGET": "installed", "PATH": str(Path(sys.executable).parent)}
    installing = at_server(named("install-python"), product)
    run(["/bin/bash", "-c", installing], tmp_path, os.environ | pip)
    check = f"""
raw, headers, secret = {message.raw!r}, {message.headers!r}, {secret!r}
assert receive(raw, headers, secret) == 204
assert receive(raw + b" ", headers, secret) == 401
assert receive(raw, {{}}, secret) == 401
"""
    (tmp_path / "helper.py").write_text(named("helper-python").text + check)
    command = [sys.executable, "-I", "-c", "import runpy, sys; sys.path.insert(0, 'installed');"]
    command[-1] += "runpy.run_path('helper.py')"
    printed = run(command, tmp_path, dict(os.environ))
    assert printed.splitlines() == [
        f"fetch: {message.body['callId']}",
        "refused: SIGNATURE_MISMATCH",
        "refused: SIGNATURE_MISSING",
    ]


def test_the_node_package_installs_from_us_and_verifies_what_we_signed(delivery, product, tmp_path):
    message, secret = delivery
    check = f"""
import {{ receive }} from "./helper.js";
const raw = Uint8Array.from({list(message.raw)});
const headers = {json.dumps(message.headers)};
console.log(receive(raw, headers, {json.dumps(secret)}), receive(raw.slice(1), headers, "whsec_x"));
"""
    compile_ts(tmp_path, {"helper.ts": named("helper-typescript").text, "check.ts": check})
    (tmp_path / "node_modules" / "@useathos" / "webhooks").unlink()
    folder = tmp_path / "out"
    (folder / "package.json").write_text('{"type": "module"}')
    settings = environment(product) | {"npm_config_cache": str(tmp_path / "cache")}
    run(["bash", "-c", at_server(named("install-typescript"), product)], folder, settings)
    assert not (folder / "node_modules" / "@useathos" / "webhooks").is_symlink()
    printed = run(["node", "check.js"], folder, settings)
    call_id = message.body["callId"]
    assert printed.splitlines() == [f"fetch: {call_id}", "refused: SIGNATURE_MISMATCH", "204 401"]


def test_the_python_lines_verify_what_we_signed_and_nothing_else(delivery):
    message, secret = delivery
    code: dict = {}
    exec(compile(named("verify-python").text, "verify-python", "exec"), code)
    verify, header = code["is_from_athos"], message.headers["x-athos-signature"]
    assert verify(header, message.raw, secret)
    assert verify(header.replace(",", ",v1=00,"), message.raw, secret)  # while a secret rotates
    for odd in (header[:-1] + "g", "", "t=1,v1=00", header.replace("t=", "t=9"), "v1=é"):
        assert not verify(odd, message.raw, secret)
    assert not verify(header, message.raw + b" ", secret)
    assert not verify(header, message.raw, secret + "x")


def test_the_typescript_lines_verify_what_we_signed_and_nothing_else(delivery, tmp_path):
    message, secret = delivery
    header = message.headers["x-athos-signature"]
    cases = [
        *((header, message.raw, True), (header.replace(",", ",v1=00,"), message.raw, True)),
        *((header, message.raw + b" ", False), ("", message.raw, False)),
        *(("t=1,v1=00", message.raw, False), (header[:-1] + "g", message.raw, False)),
    ]
    given = json.dumps([[header, list(raw), good] for header, raw, good in cases])
    check = f"""
import {{ isFromAthos }} from "./verify.js";
const cases: [string, number[], boolean][] = {given};
const wrong = cases.filter(
  ([header, raw, good]) => isFromAthos(header, Uint8Array.from(raw), {json.dumps(secret)}) !== good,
);
if (wrong.length) throw new Error(JSON.stringify(wrong));
console.log(cases.length);
"""
    compile_ts(tmp_path, {"verify.ts": named("verify-typescript").text, "check.ts": check})
    assert run(["node", "out/check.js"], tmp_path, dict(os.environ)).strip() == "6"


def test_the_shells_lines_verify_what_we_signed_and_nothing_else(delivery, tmp_path):
    message, secret = delivery
    (tmp_path / "verify.sh").write_text(named("verify-shell").text)
    (tmp_path / "body.json").write_bytes(message.raw)
    (tmp_path / "other.json").write_bytes(message.raw + b" ")
    settings = os.environ | {"ATHOS_WEBHOOK_SECRET": secret}
    header = message.headers["x-athos-signature"]
    cases = [
        *((header, "body.json", True), (header.replace(",", ",v1=00,"), "body.json", True)),
        *((header, "other.json", False), (header[:-1] + "g", "body.json", False)),
        *((header.replace("t=", "t=9"), "body.json", False), ("", "body.json", False)),
        ("t=a[$(touch hacked)],v1=00", "body.json", False),
    ]
    for given, body, good in cases:
        command = ["sh", "verify.sh", given, body]
        done = subprocess.run(command, cwd=tmp_path, env=settings, timeout=30)
        assert (done.returncode == 0) is good, given
    assert not (tmp_path / "hacked").exists()
    (tmp_path / "openssl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "openssl").chmod(0o755)
    broken = settings | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", "verify.sh", f"t={int(time.time())},v1=", "body.json"]
    assert subprocess.run(command, cwd=tmp_path, env=broken, timeout=30).returncode == 1


@pytest.mark.parametrize("language", ["python", "typescript"])
def test_an_endpoint_of_the_docs_fetches_the_score_once(delivery, product, tmp_path, language):
    message, secret = delivery
    port = free_port()
    settings = environment(product) | {"ATHOS_WEBHOOK_SECRET": secret, "PORT": str(port)}
    with process(endpoint_command(tmp_path, language), tmp_path, settings) as (running, output):
        until_open(port)
        refused = post(port, message.raw + b" ", message.headers)
        answers = [post(port, message.raw, message.headers) for _ in range(2)]
        assert running.poll() is None
    assert (refused, answers) == (401, [204, 204])
    assert output.read_text().count("score: rep_8842") == 1


def endpoint_command(folder: Path, language: str) -> list[str]:
    if language == "python":
        for name in ("verify", "endpoint"):
            (folder / f"{name}.py").write_text(named(f"{name}-python").text)
        return [sys.executable, "endpoint.py"]
    files = {f"{name}.ts": named(f"{name}-typescript").text for name in ("verify", "endpoint")}
    compile_ts(folder, files)
    return ["node", "out/endpoint.js"]


def test_the_receiver_of_the_package_adds_an_endpoint_shows_what_comes_and_cleans_up(
    product, tmp_path
):
    port = free_port()
    settings = environment(product) | {"npm_config_cache": str(tmp_path / "cache")}
    del settings["ATHOS_WEBHOOK_SECRET"]
    command = ["bash", "-c", f"{named('listen').text.strip()} --port {port}"]
    with process(command, tmp_path, settings) as (running, output):
        endpoint = found(r"Added the endpoint (\S+)", output)
        sandbox(product, "POST", f"/webhook-endpoints/{endpoint}/test")
        assert found(r"(endpoint\.test) .*→ 204", output)
        with chromium(1000) as page:
            page.goto(f"http://localhost:{port}/")
            page.get_by_text("answered 204").first.wait_for()
            page.select_option("#answer", "500")
            sandbox(product, "POST", f"/webhook-endpoints/{endpoint}/test")
            page.get_by_text("answered 500").first.wait_for()
        (listener,) = [p for p in psutil.process_iter(["cmdline"]) if _listens(p, port)]
        listener.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    listed = sandbox(product, "GET", "/webhook-endpoints")["data"]
    assert endpoint not in [one["id"] for one in listed]


def _listens(process: psutil.Process, port: int) -> bool:
    words = process.info["cmdline"] or []
    return words[:1] == ["node"] and words[-3:] == ["listen", "--port", str(port)]


def found(pattern: str, output: Path) -> str:
    """What a server of the docs prints, within a minute."""
    end = time.monotonic() + 60
    while (match := re.search(pattern, output.read_text())) is None:
        assert time.monotonic() < end, output.read_text()
        time.sleep(0.1)
    return match[1]


@contextmanager
def process(
    command: list[str], folder: Path, settings: dict[str, str]
) -> Iterator[tuple[subprocess.Popen, Path]]:
    """A server of the docs, until the block ends; what it prints is in the file."""
    output = folder / "output.txt"
    with output.open("w") as file:
        running = subprocess.Popen(command, cwd=folder, env=settings, stdout=file, stderr=file)
    try:
        yield running, output
    finally:
        running.kill()
        running.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_open(port: int) -> None:
    """Until somebody listens there, 20 s at most."""
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < end, "the docs' server does not listen"
            time.sleep(0.1)


def post(port: int, raw: bytes, headers: dict[str, str]) -> int:
    signed = {name: value for name, value in headers.items() if name != "content-length"}
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}/", raw, signed), timeout=15) as answer:
            return answer.status
    except HTTPError as refused:
        return refused.code


# --- the quickstart's page, in a browser ---------------------------------------------------------


@pytest.mark.browser
def test_the_quickstarts_page_makes_a_spoken_call_that_is_scored(product, tmp_path):
    (tmp_path / "server.mjs").write_text(named("quickstart-server").text)
    (tmp_path / "index.html").write_text(named("quickstart-page").text)
    port = free_port()
    settings = environment(product, "quickstart.md") | {"PORT": str(port)}
    clip = spoken("Hi, this is Adam. Which doctors do you see?", product.speech_socket)
    with process(["node", "server.mjs"], tmp_path, settings), chromium(1280) as page:
        until_open(port)
        page.goto(f"http://localhost:{port}/")
        call = BrowserCall(page)
        page.click("#start")
        page.get_by_text("You are talking to Carol Whitaker.").wait_for(timeout=30_000)
        assert call.wait_for_persona(utterances=0)
        assert call.turn(clip.text, clip.wav)
        page.click("#end")
        page.get_by_text("athos_call_").wait_for(timeout=20_000)
        call_id = page.inner_text("#state").split()[0]
    assert product.until_status(call_id, "scored", "failed", seconds=120)["status"] == "scored"


def test_every_named_block_is_taken_by_a_test():
    source = Path(__file__).read_text()
    names: list[Block] = [block for block in all_blocks() if block.name]
    assert names
    for block in names:
        assert block.name and (block.name in source or block.name.rpartition("-")[0] in source), (
            f"{block}: nobody runs {block.name}"
        )
