"""A sender in a process of its own, for `bench.webhooks`.

    python -m bench.webhooks_sender FOLDER PORTS             # our dispatcher, until it is killed
    python -m bench.webhooks_sender FOLDER PORTS --bare 2000 # a bare aiohttp client, so many posts

    python -m bench.webhooks_sender FOLDER PORTS --hostile 100  # so many of each kind at once

The bare one knows no database, no log and no retry: it posts bytes that are signed already, with as
many in flight, and prints what it took.
"""

import argparse
import asyncio
import json
import resource
import time
from pathlib import Path

import aiohttp
import django

django.setup()

from bench.webhooks_net import host_of, internet_of  # noqa: E402
from webhooks.dispatch import IN_FLIGHT, Dispatcher  # noqa: E402
from webhooks.lookup import CheckedResolver  # noqa: E402
from webhooks.outcomes import Outcome, Parcel  # noqa: E402
from webhooks.sending import Internet, Sender  # noqa: E402
from webhooks.signing import secret_make  # noqa: E402

BODY = b'{"event":"call.scored","success":true,"callId":"athos_call_GZ1DjOkZv_VEPoE-CJ8mp"}'
HEADERS = {"Content-Type": "application/json", "X-Athos-Webhook-Id": "bare"}
ENDPOINTS = 200
LOOK_SECONDS = 0.1  # in place of the bell


async def send_for_ever(internet: Internet) -> None:
    while True:
        await Dispatcher(internet).run(seconds=60)
        await asyncio.sleep(LOOK_SECONDS)


async def post_bare(internet: Internet, count: int) -> dict[str, float]:
    """Posts a second, and the milliseconds of a processor that each took."""
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(internet.lookup, route=internet.route),
        use_dns_cache=False,
        ssl=internet.tls,
        force_close=True,
        limit=0,
    )
    room = asyncio.Semaphore(IN_FLIGHT)

    async def post(session: aiohttp.ClientSession, number: int) -> None:
        async with room:
            url = f"https://{host_of('fine', number % ENDPOINTS)}/"
            async with session.post(url, data=BODY, headers=HEADERS) as answer:
                await answer.read()

    async with aiohttp.ClientSession(connector=connector) as session:
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(*(post(session, number) for number in range(count)))
        spent = 1000 * (time.process_time() - cpu)
        return {"aSecond": count / (time.monotonic() - began), "cpuMs": spent / count}


async def send_hostile(internet: Internet, kinds: list[str], count: int) -> dict[str, object]:
    """The longest attempt of each kind in seconds, and how many MiB the process grew."""
    hosts = [host_of(kind, 0) for kind in kinds]
    async with Sender(internet) as sender:
        await asyncio.gather(*(sender.send(_parcel(host)) for host in hosts))  # warm
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        room = asyncio.Semaphore(IN_FLIGHT)  # as the dispatcher keeps it

        async def send(host: str) -> Outcome:
            async with room:
                return await sender.send(_parcel(host))

        outcomes = await asyncio.gather(*(send(host) for host in hosts for _ in range(count)))
    longest = {
        kind: max(o.total_ms for o in outcomes[number * count : (number + 1) * count]) / 1000
        for number, kind in enumerate(kinds)
    }
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"longest": longest, "grownMiB": round(grown, 1)}


def _parcel(host: str) -> Parcel:
    return Parcel("wh_bench", f"https://{host}/", BODY, (secret_make(),))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("ports", type=json.loads)
    parser.add_argument("--bare", type=int)
    parser.add_argument("--hostile", type=int)
    options = parser.parse_args()
    internet = internet_of(options.folder, options.ports)
    if options.hostile:
        kinds = list(options.ports)
        print(json.dumps(asyncio.run(send_hostile(internet, kinds, options.hostile))), flush=True)
    elif options.bare:
        print(json.dumps(asyncio.run(post_bare(internet, options.bare))), flush=True)
    else:
        asyncio.run(send_for_ever(internet))


if __name__ == "__main__":
    main()
