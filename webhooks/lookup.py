"""From a host's name to the addresses that we may connect to, looked up once per attempt."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from aiohttp.abc import AbstractResolver, ResolveResult

from webhooks.addresses import LOOPBACK, Network, address_check

LOOKUP_SECONDS = 3.0
LOOKUPS_AT_ONCE = 64  # threads: the system's resolver blocks, for half a minute if it must
ADDRESSES_MAX = 8  # of one name; more are not tried

Lookup = Callable[[str], Awaitable[Sequence[str]]]
Route = Callable[[str, int], tuple[str, int]]


class NotFound(OSError):
    """The name has no address, or none within three seconds."""


class CheckedResolver(AbstractResolver):
    """For aiohttp: every answer is checked, and the connection goes to what was checked.

    One bad answer among good ones refuses the name: whoever mixes them is up to something. A name
    that is being looked up already is not looked up a second time, so that a name server which
    never answers holds one thread and not one for each attempt. `route` says where a checked
    address and port are found: a test's internet lies on loopback.
    """

    def __init__(
        self, lookup: Lookup, *, own: Sequence[Network] = (), route: Route | None = None
    ) -> None:
        self._lookup = lookup
        self._route = route or _straight
        self._own = own
        self._pending: dict[str, asyncio.Task[Sequence[str]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host == "localhost":  # passes `url_check` only as a development receiver
            return [_result(host, port, address) for address in LOOPBACK]
        found = list(dict.fromkeys(await self._found(host)))
        if not found:
            raise NotFound
        checked = [address_check(address, own=self._own) for address in found]
        ways = [self._route(address, port) for address in checked[:ADDRESSES_MAX]]
        return [_result(host, way_port, address) for address, way_port in ways]

    async def close(self) -> None:
        for task in self._pending.values():
            task.cancel()

    async def _found(self, host: str) -> Sequence[str]:
        task = self._pending.get(host)
        if task is None:
            task = self._pending[host] = asyncio.ensure_future(self._run(host))
            task.add_done_callback(lambda done: self._forget(host, done))
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await asyncio.shield(task)
        except (TimeoutError, OSError) as cause:
            raise NotFound from cause

    async def _run(self, host: str) -> Sequence[str]:
        return await self._lookup(host)

    def _forget(self, host: str, done: "asyncio.Task[Sequence[str]]") -> None:
        del self._pending[host]
        if not done.cancelled():
            done.exception()  # seen: whoever waited has it, or nobody waits any more


async def system_lookup(host: str) -> Sequence[str]:
    """The addresses that this machine's resolver gives for a name."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), _system_addresses, host)


def _system_addresses(host: str) -> list[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in answers]


@cache
def _threads() -> ThreadPoolExecutor:
    """One for the process, made after Celery forked."""
    return ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="lookup")


def _straight(address: str, port: int) -> tuple[str, int]:
    return address, port


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
