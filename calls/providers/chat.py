"""Words from an OpenAI-compatible `/chat/completions`, as the model writes them."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

import aiohttp

from calls.ports import ProviderRefused, ProviderUnavailable
from calls.providers.speech_client import SpeechClient

Message = Mapping[str, str]

LINE_BYTES = 64 * 1024  # of one event
ANSWER_CHARACTERS = 8_000  # a persona's turn has a few hundred
SECONDS = 20.0  # for a whole answer; who waits for the first words gives up long before
TRIES = 2  # where nothing has come yet: a second one costs a connection, a third costs the turn
MAX_TOKENS = 160


class OpenAIChat:
    """`base` and key are the client's. One answer at a time may be read per call of `stream`."""

    def __init__(self, client: SpeechClient, model: str, *, temperature: float = 0.6) -> None:
        self.model = model
        self._client = client
        self._temperature = temperature

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        """The answer in bits, as they come. Leaving early ends the request at the model's side.

        A model that fails before its first word is asked once more.
        """
        for attempt in range(1, TRIES + 1):
            begun = False
            try:
                async with aclosing(self._answer(messages)) as answer:
                    async for text in answer:
                        begun = True
                        yield text
            except ProviderUnavailable:
                if begun or attempt == TRIES:
                    raise
            else:
                return

    async def _answer(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        body = {
            "model": self.model,
            "messages": [dict(message) for message in messages],
            "stream": True,
            "temperature": self._temperature,
            "max_tokens": MAX_TOKENS,
        }
        written = 0
        async with self._client.stream(
            "/chat/completions", body=body, priority="live", seconds=SECONDS
        ) as response:
            async for event in _events(response):
                text, over = _delta(event)
                written += len(text)
                if written > ANSWER_CHARACTERS:
                    raise ProviderRefused("The model does not come to an end.")
                if text:
                    yield text
                if over:
                    return
        raise ProviderUnavailable("The model's answer broke off.")


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The data of each server-sent event, until `[DONE]` or the end of the answer."""
    rest = b""
    async for block in response.content.iter_any():
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > LINE_BYTES:
            raise ProviderRefused("The model's answer has an endless line.")
        for line in lines:
            field, _, data = line.decode(errors="replace").strip().partition(":")
            if field == "data" and data.strip():
                yield data.strip()


def _delta(event: str) -> tuple[str, bool]:
    """The text in an event, and whether the answer is complete with it."""
    if event == "[DONE]":
        return "", True
    try:
        data = json.loads(event)
        if data.get("error"):
            raise ProviderUnavailable("The model failed in the middle of its answer.")
        choices = data.get("choices") or [{}]  # usage comes without a choice
        reason, delta = choices[0].get("finish_reason"), choices[0].get("delta") or {}
        text = delta.get("content") or ""
    except (ValueError, AttributeError, IndexError, TypeError) as problem:
        raise ProviderUnavailable("The model's answer has an unknown form.") from problem
    if delta.get("refusal") or reason == "content_filter":
        raise ProviderRefused("The model refused to answer.")
    if not isinstance(text, str):
        raise ProviderUnavailable("The model's answer has an unknown form.")
    return text, reason is not None
