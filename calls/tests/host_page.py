"""The web site around the rep's page: another origin, answering as docs/embedding.md says."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html><html lang="en"><title>Training site</title>
<style>body{{margin:0}}iframe{{border:0;width:100%;height:100vh}}</style>
<iframe title="Practice call" src="{embed}" allow="microphone; autoplay"></iframe>
<script>
const frame = document.querySelector("iframe");
window.heard = [];
window.answer = "token";
addEventListener("message", async ({{source, origin, data}}) => {{
  if (source !== frame.contentWindow || origin !== "{origin}") return;
  heard.push(data);
  if (data.type !== "athos:token-request" || answer === "silence") return;
  if (answer === "refuse") {{
    source.postMessage({{type: "athos:token-refused", message: "Finish lesson 3 first."}}, origin);
    return;
  }}
  const token = await (await fetch("/token", {{method: "POST"}})).text();
  source.postMessage({{type: "athos:token", token, attempt: data.attempt}}, origin);
}});
</script></html>"""


class HostPage:
    """One page at `/`. `token` gives a fresh session token, as the site's backend would."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://localhost:{port}"
        self.embed = ""
        self.token: Callable[[], str] = lambda: ""

    def html(self) -> str:
        origin = "/".join(self.embed.split("/")[:3])
        return PAGE.format(embed=self.embed, origin=origin)


@contextmanager
def host_page(port: int) -> Iterator[HostPage]:
    page = HostPage(port)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send("text/html; charset=utf-8", page.html() if self.path == "/" else "")

        def do_POST(self) -> None:
            self._send("text/plain", page.token())

        def _send(self, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
