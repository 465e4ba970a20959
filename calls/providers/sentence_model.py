"""Whether a sentence is over by its words: our speech process, whoever recognised them."""

from typing import Final

from calls.ports import ProviderUnavailable
from calls.providers.speech_client import SpeechClient

SECONDS: Final = 1.0  # an answer that comes later is of no use
CHARACTERS: Final = 400  # of the text's end; the model looks at a few words


class LocalSentenceModel:
    """English only, like the recogniser beside it."""

    def __init__(self, client: SpeechClient) -> None:
        self._client = client

    async def complete(self, text: str) -> float:
        body = {"text": text[-CHARACTERS:], "language": "en"}
        answer = await self._client.post(
            "/completeness", body=body, priority="live", seconds=SECONDS
        )
        try:
            return float(answer["complete"])
        except (KeyError, TypeError, ValueError) as problem:
            raise ProviderUnavailable("The answer about a sentence has an unknown form.") from (
                problem
            )
