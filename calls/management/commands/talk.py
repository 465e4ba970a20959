"""`manage.py talk ma-full-sale`: a drill's persona by keyboard, no voice, nothing stored."""

import asyncio
import secrets
import sys
from argparse import ArgumentTypeError
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from calls.director.pack import DIFFICULTIES
from calls.ports import Heard, Line
from calls.providers.director import DirectorBrain, prepare
from calls.providers.embedder import OpenAIEmbedder
from calls.providers.speech_client import SpeechClient
from calls.services.drills import SHIPPED, DrillFileRefused, pack_read


class Command(BaseCommand):
    help = "Talk to a drill's persona by keyboard: you are the rep. An empty line is silence."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("drill", type=_drill_file, help="a key, or a path to a drill's file")
        parser.add_argument("--difficulty", choices=DIFFICULTIES, default="Advanced")
        parser.add_argument("--seed", type=int, default=None)
        parser.add_argument("--why", action="store_true", help="show what was understood")

    def handle(self, *args: Any, drill: Path, **options: Any) -> None:
        try:
            pack = pack_read(drill)
        except (DrillFileRefused, OSError) as refused:
            raise CommandError(str(refused)) from refused
        seed = options["seed"] if options["seed"] is not None else secrets.randbits(32)
        try:
            asyncio.run(self._talk(pack, options["difficulty"], seed, why=options["why"]))
        except (EOFError, KeyboardInterrupt):
            self.stdout.write("")

    async def _talk(
        self, pack: Mapping[str, Any], difficulty: str, seed: int, *, why: bool
    ) -> None:
        client = SpeechClient(settings.SPEECH_URL)
        try:
            embedder = OpenAIEmbedder(client)
            await prepare(pack, embedder, folder=settings.VAR_DIR / "cache" / "examples")
            brain = DirectorBrain(pack, difficulty, seed, embedder)
            self.stdout.write(f"{brain.pack.title}, {difficulty}, seed {seed}")
            if not brain.has_vectors:
                self.stdout.write("The speech process does not answer: words alone must do.")
            self.stdout.write(f"{brain.pack.goal}\n")
            await self._say(brain, brain.opening(), why=False)
            while True:
                text = (await asyncio.to_thread(_ask)).strip()
                lines = brain.reply(Heard(text, 0.0, 0.0)) if text else brain.silence(60.0)
                await self._say(brain, lines, why=why)
        finally:
            await client.close()

    async def _say(self, brain: DirectorBrain, lines: AsyncIterator[Line], *, why: bool) -> None:
        said = [line async for line in lines]
        text = " ".join(line.text for line in said)
        brain.spoken(text, complete=True)
        self.stdout.write(f"{brain.pack.persona.name.split()[0]}: {text or '(waits)'}")
        if why and said:
            acts = ", ".join(f"{a[0]} {a[1]:.2f}" for a in said[0].cue["hearing"]["acts"])
            self.stdout.write(f"   [{acts or 'nothing understood'}] {said[0].cue['rules']}")
        if why:
            self.stdout.write(f"   trust {brain.state.trust:.0f}, {brain.state.stage}")


def _drill_file(name: str) -> Path:
    path = Path(name) if name.endswith(".yaml") else SHIPPED / f"{name}.yaml"
    if not path.is_file():
        raise ArgumentTypeError(f"there is no drill {name!r} in {SHIPPED.name}/")
    return path


def _ask() -> str:
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line
    return input("You: ")
