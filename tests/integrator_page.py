"""A web site on an origin of its own, whose page is what the SDK's README says and nothing more.

The README's code is taken as it stands there. What a test needs beside it comes after: the session
by name, and every event that was heard.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tests.cable import PAGE_SIDE, Cable
from tests.clips import Clip
from tests.conftest import ROOT, Product

README = (ROOT / "sdk" / "README.md").read_text()
MICROPHONES = {
    name: Path(__file__).with_name(f"{name}.js").read_text()
    for name in ("microphone", "microphone_element")
}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><title>Practice</title>
{script}
{import_map}
<button id="startButton">Start</button><button id="endButton">End</button>
<button id="resume">Sound on</button><button id="other">Start another</button>
<script>
  window.heard = [];
  const show = (message) => (document.title = message);
  const waitForScore = (callId) => (window.waitsFor = callId);
</script>
<script type="module">
{code}
import {{ ATHOS_EVENT_NAMES }} from "@useathos/sdk";
window.AthosRoleplay = AthosRoleplay;
const create = AthosRoleplay.create;
AthosRoleplay.create = (options) => {{
  window.session = create(options);
  for (const name of ATHOS_EVENT_NAMES) session.on(name, (payload) => heard.push([name, payload]));
  return session;
}};
resume.onclick = () => session.resumeAudio().then(() => (window.resumed = true));
window.ready = true;
</script>
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def microphone(user_agent: str, clip: Clip) -> str:
    """What makes the test the microphone, which says the clip."""
    name = "microphone_element" if "Firefox" in user_agent else "microphone"
    wav = base64.b64encode(clip.wav).decode()
    return f'<script>window.__clip = "{wav}";</script><script>{MICROPHONES[name]}</script>'


def page(product: Product, *, first: str = "") -> str:
    """Pinned by its hash, as the README shows. `first` comes before anything of it."""
    base = product.demo["baseUrl"]
    (import_map,) = [block for block in blocks("html") if "importmap" in block]
    (code,) = [block for block in blocks("js") if "startButton" in block]
    with urlopen(f"{base}/sdk/integrity.json", timeout=15) as answer:
        hashes = json.loads(answer.read())["integrity"]
    (module,) = [name for name in hashes if name.endswith(".js")]
    import_map = import_map.replace("useathos-sdk-1.0.0.js", module)
    import_map = import_map.replace("sha512-…", hashes[module])
    return PAGE.format(
        script=first,
        import_map=import_map.replace("https://app.example.com", base),
        code=code.replace("https://app.example.com", base),
    )


FRAME = """<!doctype html><meta charset="utf-8"><title>Outer</title>
<iframe src="{inner}" allow="{allow}"></iframe>"""


class Site:
    def __init__(self, product: Product, address: str) -> None:
        self.address = address  # by another name than the product's page, so another site
        self.product = product
        self.cable = Cable()
        self.minted: list[str] = []

    def mint(self) -> str:
        request = Request(
            f"{self.product.demo['baseUrl']}/api/external/v1/session",
            data=json.dumps({"externalUserId": "rep_8842"}).encode(),
            headers={
                "Authorization": f"Bearer {self.product.demo['apiKey']}",
                "Content-Type": "application/json",
            },
        )
        with urlopen(request, timeout=15) as answer:
            self.minted.append(json.loads(answer.read())["token"])
        return self.minted[-1]


@contextmanager
def integrator_site(product: Product, clip: Clip) -> Iterator[Site]:
    """`/` says the clip when the test wants it, `/cable` over a cable that the test can pull;
    `/plain` has the browser's own microphone; `/outer?…` frames `/plain` under another host name,
    with what the query says in its `allow`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = urlsplit(self.path)
            if target.path == "/outer":
                inner = site.address.replace("localhost", "127.0.0.1") + "/plain"
                self.answer("text/html", FRAME.format(inner=inner, allow=target.query))
            elif target.path in ("/", "/cable"):
                first = microphone(self.headers.get("User-Agent", ""), clip)
                if target.path == "/cable":
                    first += f"<script>{PAGE_SIDE}</script>"
                self.answer("text/html", page(product, first=first))
            elif target.path == "/plain":
                self.answer("text/html", page(product))
            elif target.path == "/way":
                kind, host, port = target.query.split("&")
                self.answer("text/plain", str(site.cable.way(kind, host, int(port))))
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            self.answer("application/json", json.dumps({"token": site.mint()}))

        def answer(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(product, f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
        site.cable.close()
