"""One HTTP client for engines, local or remote: whatever speaks OpenAI's API.

`http+unix:///path/to.sock` is our own `speech` process; anything else is a base such as
`https://host/v1`. Priority and deadline travel in headers that others ignore. A base that a tenant
gave is `checked`: the client connects to public addresses only, as for webhooks.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import aiohttp

from calls.ports import ProviderRefused, ProviderUnavailable
from webhooks.addresses import Network, Refused
from webhooks.lookup import CheckedResolver, system_lookup

Priority = Literal["live", "batch"]

CONNECT_SECONDS: Final = 2.0
ANSWER_BYTES: Final = 16 * 1024 * 1024  # the largest answer that is read
CONNECTIONS: Final = 64
_UNIX = "http+unix://"
_RETRYABLE = frozenset({408, 425, 429})  # and every 5xx


class SpeechClient:
    """Make one per process and event loop, share it, and close it at the end."""

    def __init__(
        self, url: str, key: str = "", *, checked: bool = False, refused: Sequence[Network] = ()
    ) -> None:
        self._socket = url.removeprefix(_UNIX) if url.startswith(_UNIX) else None
        self._base = "http://speech/v1" if self._socket else url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._checked = checked
        self._refused = refused
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(
        self,
        path: str,
        *,
        body: Mapping[str, Any] | aiohttp.FormData,
        priority: Priority,
        seconds: float,
    ) -> dict[str, Any]:
        """The JSON answer, within `seconds` from now, waiting and working included."""
        async with self.stream(path, body=body, priority=priority, seconds=seconds) as response:
            data = await _read(response)
        try:
            answer = json.loads(data)
        except ValueError as problem:
            raise ProviderUnavailable("The engine's answer is not JSON.") from problem
        if not isinstance(answer, dict):
            raise ProviderUnavailable("The engine's answer is not an object.")
        return answer

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        *,
        body: Mapping[str, Any] | aiohttp.FormData,
        priority: Priority,
        seconds: float,
        quiet: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open answer; leaving early, or being cancelled, closes the request.

        `quiet` are the seconds that may pass without a byte, before the answer and within it.
        """
        headers = {"X-Athos-Priority": priority, "X-Athos-Deadline-Ms": str(int(seconds * 1000))}
        content = {"data": body} if isinstance(body, aiohttp.FormData) else {"json": body}
        try:
            async with self._open().post(
                f"{self._base}{path}",
                headers=headers,
                timeout=aiohttp.ClientTimeout(
                    total=seconds, sock_connect=CONNECT_SECONDS, sock_read=quiet
                ),
                allow_redirects=False,
                **content,
            ) as response:
                if response.status != 200:
                    raise await _problem(response)
                yield response
        except Refused as refused:  # the name resolves to an address where nobody may be asked
            raise ProviderRefused(
                "The engine's address is not on the public internet."
            ) from refused
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise ProviderUnavailable("The engine did not answer.") from problem

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # no proxy of the environment: speech goes where the setting says
            )
        return self._session

    def _connector(self) -> aiohttp.BaseConnector:
        if self._socket:
            # A unix socket costs nothing to open; a kept one would not survive a restart.
            return aiohttp.UnixConnector(self._socket, limit=CONNECTIONS, force_close=True)
        if self._checked:
            resolver = CheckedResolver(system_lookup, own=self._refused)
            return aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, limit=CONNECTIONS)
        return aiohttp.TCPConnector(limit=CONNECTIONS)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    data = bytearray()
    async for block in response.content.iter_any():
        data += block
        if len(data) > ANSWER_BYTES:
            raise ProviderRefused("The engine's answer is too large.")
    return bytes(data)


async def _problem(response: aiohttp.ClientResponse) -> Exception:
    """The refusal as ours, with the engine's own code where it has one."""
    try:
        error = json.loads(await _read(response)).get("error", {})
        code = str(error.get("code") or error.get("type") or "")[:60]
    except (ValueError, AttributeError):
        code = ""
    message = f"The engine answered {response.status} {code}".rstrip()
    if response.status in _RETRYABLE or response.status >= 500:
        return ProviderUnavailable(message)
    return ProviderRefused(message)


async def wait_ready(client: SpeechClient, *, seconds: float, every: float = 0.25) -> None:
    """Until the engine can embed a word, or ProviderUnavailable after `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        try:
            await client.post(
                "/embeddings",
                body={"model": "minilm", "input": "ready"},
                priority="batch",
                seconds=max(0.1, end - loop.time()),
            )
        except ProviderUnavailable:
            if loop.time() + every >= end:
                raise
            await asyncio.sleep(every)
        else:
            return
