"""The call that integrators try first: its lines are made before anybody waits for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calls.models import Call
from calls.ports import Embedder
from calls.providers.director import AuthoredLine, prepare
from calls.sandbox.conversation import speak_by_text
from calls.sandbox.scripts import DEFAULT, scripts
from calls.sandbox.services import SEED
from calls.sandbox.speaking import REP_VOICE


async def lines_tried_first(
    packs: Sequence[Mapping[str, Any]], embedder: Embedder, *, folder: Path
) -> list[AuthoredLine]:
    """What both sides say in the default script, in the drills that it was written for.

    Raises ProviderError. `folder` keeps the vectors of the packs.
    """
    lines: list[AuthoredLine] = []
    script = scripts()[DEFAULT]
    for pack in packs:
        if pack["key"] not in script.lines:
            continue
        persona = (await prepare(pack, None)).persona
        turns = await speak_by_text(
            pack,
            difficulty=Call.Difficulty.ADVANCED,
            seed=SEED,
            rep_lines=script.lines_for(pack["key"]),
            embedder=embedder,
            folder=folder,
        )
        lines += [
            AuthoredLine(line, REP_VOICE, 1.0)
            if turn.role == "user"
            else AuthoredLine(line, persona.voice, persona.speed)
            for turn in turns
            for line in turn.lines
        ]
    return lines
