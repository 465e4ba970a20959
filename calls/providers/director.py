"""The persona's brain that ships with us: the director over authored lines.

Sentence vectors come from an `Embedder`; when it is away or slow the director goes on with its
patterns and words alone.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calls.director.decide import Reply, decide, decide_opening, decide_silence
from calls.director.intents import Index, Vectors, example_rows, hear, units
from calls.director.pack import DIFFICULTIES, MOODS, Pack, Pool, pack_digest, pack_load
from calls.director.phrases import pieces
from calls.director.state import SnapshotError, State, begin, heard, restore, snapshot
from calls.ports import Embedder, Heard, Line, ProviderError, ProviderRefused
from calls.providers.kept_vectors import vectors_kept

logger = logging.getLogger(__name__)

EMBED_DEADLINE = 0.3  # seconds, where somebody waits for the answer
FREE_TEXT = "free_text"  # what calls.providers.free_text adds to a snapshot
EXCUSES = ("thinking", "lost_thread")  # lines for when words or their sound do not come
MOST_READY = 100  # packs kept ready in one process

_ready: OrderedDict[str, Index] = OrderedDict()


@dataclass(frozen=True, slots=True)
class AuthoredLine:
    """A piece of speech that may be wanted, with the voice that says it."""

    text: str
    voice: str
    speed: float


class DirectorBrain:
    """`calls.ports.PersonaBrain` for one call. Call `prepare` for the pack once before, or the
    first call of a process reads the pack on the spot and has no sentence vectors. `embed_within`
    are the seconds that sentence vectors may take; then words alone must do."""

    def __init__(
        self,
        pack: Mapping[str, Any],
        difficulty: str,
        seed: int,
        embedder: Embedder | None,
        *,
        embed_within: float = EMBED_DEADLINE,
    ) -> None:
        digest = pack_digest(pack)
        self._index = _ready.get(digest) or _keep(digest, Index(pack_load(pack)))
        self._embedder = embedder if self._index.vectors is not None else None
        self._embed_within = embed_within
        self._state = begin(self._index.pack, difficulty, seed)

    @property
    def pack(self) -> Pack:
        return self._index.pack

    @property
    def state(self) -> State:
        return self._state

    @property
    def has_vectors(self) -> bool:
        """Whether likeness is judged by sentence vectors too."""
        return self._embedder is not None

    async def opening(self) -> AsyncGenerator[Line, None]:
        self._state, reply = decide_opening(self.pack, self._state)
        for line in _lines(reply):
            yield line

    async def reply(self, heard: Heard) -> AsyncGenerator[Line, None]:
        vectors = await self._vectors(heard.text)
        expecting = self.pack.concerns.get(self._state.expecting)
        hearing = hear(
            self._index,
            heard.text,
            vectors=vectors,
            expected=expecting.resolved_by if expecting is not None else (),
            interrupting=heard.interrupting,
        )
        self._state, reply = decide(self.pack, self._state, hearing)
        for line in _lines(reply):
            yield line

    async def silence(self, seconds: float) -> AsyncGenerator[Line, None]:
        self._state, reply = decide_silence(self.pack, self._state, seconds)
        for line in _lines(reply):
            yield line

    def spoken(self, text: str, *, complete: bool) -> None:
        self._state = heard(self._state, text, complete=complete)

    def snapshot(self) -> dict[str, Any]:
        return snapshot(self._state)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Of a brain whose words a model wrote, too: what it remembered of those is left out."""
        own = {name: value for name, value in snapshot.items() if name != FREE_TEXT}
        try:
            self._state = restore(self.pack, own)
        except SnapshotError as error:
            raise ProviderRefused("The snapshot cannot be restored.") from error

    async def _vectors(self, text: str) -> Vectors | None:
        wanted = [unit.text for unit in units(text)]
        if self._embedder is None or not wanted:
            return None
        try:
            async with asyncio.timeout(self._embed_within):
                return await self._embedder.embed(wanted)
        except (ProviderError, TimeoutError) as failure:
            # Once per call is enough: the lines still come, only chosen by words alone.
            logger.warning(
                "sentence vectors failed, words alone from now on",
                extra={"error": type(failure).__name__},
            )
            self._embedder = None
            return None


async def prepare(
    pack: Mapping[str, Any], embedder: Embedder | None, *, folder: Path | None = None
) -> Pack:
    """Make a pack ready in this process. Vectors of its examples are kept in `folder`, where any
    process finds them again. Without an embedder, or when it fails, patterns and words must do."""
    digest = pack_digest(pack)
    known = _ready.get(digest)
    if known is not None and (known.vectors is not None or embedder is None):
        return known.pack
    index = known if known else await asyncio.to_thread(lambda: Index(pack_load(pack)))
    if embedder is not None:
        try:
            texts = [example for _, example in example_rows(index.pack)]
            vectors = await vectors_kept(texts, embedder, folder)
        except (ProviderError, TimeoutError) as failure:
            logger.warning(
                "pack prepared without sentence vectors", extra={"error": type(failure).__name__}
            )
        else:
            index.vectors = vectors
    return _keep(digest, index).pack


def all_lines(pack: Pack, difficulty: str) -> list[AuthoredLine]:
    """Every piece of speech that can come up at this difficulty."""
    return _authored(pack, difficulty, _reachable(pack, difficulty))


def excuses(pack: Pack, name: str) -> tuple[str, ...]:
    """What to say when the words are slow or lost; none in a pack that was written without."""
    return pack.lines[name].groups["any"] if name in pack.lines else ()


def likely_lines(pack: Pack, difficulty: str) -> list[AuthoredLine]:
    """What comes up in nearly every call, the first words first: to be made before the rest."""
    openers = [i.replies for i in pack.intents.values() if i.stage == "opening" and i.replies]
    names = ("acknowledge", "next", "clarify", "silence_first", *EXCUSES)
    listening = [pack.lines[n] for n in names if n in pack.lines]
    firsts = [c.raises for c in pack.concerns.values() if c.takes[difficulty] and c.when.turns <= 2]
    return _authored(pack, difficulty, [pack.lines["openings"], *openers, *firsts, *listening])


def _reachable(pack: Pack, difficulty: str) -> Iterator[Pool]:
    silent = {c.id for c in pack.concerns.values() if not c.takes[difficulty]}
    paths = tuple(f"pack.{c.kind}s.{c.id}." for c in pack.concerns.values() if c.id in silent)
    return (pool for pool in pack.pools() if not pool.key.startswith(paths))


def _authored(
    pack: Pack, difficulty: str, pools: Iterator[Pool] | list[Pool]
) -> list[AuthoredLine]:
    texts: dict[str, None] = {}  # a set that keeps its order
    others = {*DIFFICULTIES} - {difficulty}
    for pool in pools:
        covered = difficulty in pool.groups or set(MOODS) <= set(pool.groups)
        for group, lines in pool.groups.items():
            if group in others or (group == "any" and covered):
                continue
            texts.update(dict.fromkeys(piece for line in lines for piece in pieces(line)))
    return [AuthoredLine(text, pack.persona.voice, pack.persona.speed) for text in texts]


def _lines(reply: Reply) -> Iterator[Line]:
    for said in reply.lines:
        for piece in pieces(said.text):
            yield Line(piece, reply.cue)


def _keep(digest: str, index: Index) -> Index:
    _ready[digest] = index
    _ready.move_to_end(digest)
    while len(_ready) > MOST_READY:
        _ready.popitem(last=False)
    return index
