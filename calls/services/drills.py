"""Drills: versions that are added and never changed; the shipped ones come from files."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from calls.director.pack import PackError, pack_digest, pack_load, pack_merge
from calls.models import Drill
from scoring.services import rubrics_load
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Tenant
from tenants.services import catalogue_ensure

SHIPPED = Path(__file__).resolve().parent.parent / "drills"
SHARED = "shared"  # packs that others extend
LARGEST_FILE = 4 * 1024 * 1024  # bytes


class DrillFileRefused(ValueError):
    """A drill file cannot be used; the message names the file and says why."""


def drill_add(*, tenant_id: uuid.UUID, pack: Mapping[str, Any]) -> Drill | None:
    """Keep the pack as the drill's newest version; None when the newest is the same already."""
    digest = pack_digest(pack)
    with tenant_scope(tenant_id):
        Tenant.objects.select_for_update().get(pk=tenant_id)  # versions are numbered one by one
        versions = Drill.objects.for_tenant(tenant_id).filter(key=pack["key"])
        newest = versions.order_by("-version").first()
        if newest is not None and newest.digest == digest:
            return None
        return Drill.objects.create(
            tenant_id=tenant_id,
            key=pack["key"],
            version=newest.version + 1 if newest else 1,
            digest=digest,
            title=pack["title"],
            pack=dict(pack),
        )


def catalogue_load(folder: Path = SHIPPED) -> list[Drill]:
    """Bring the shipped drills and rubrics into the catalogue. Returns the drills that were new.

    All drill files are read and checked before the first is stored.
    """
    packs = list(_packs(folder))
    catalogue_ensure()
    rubrics_load()
    added = [drill_add(tenant_id=CATALOGUE, pack=pack) for pack in packs]
    return [drill for drill in added if drill is not None]


def pack_read(path: Path) -> dict[str, Any]:
    """The pack of one file on top of what it extends, checked."""
    raw = _read(path)
    base = raw.pop("extends", None)
    if base is not None:
        raw = pack_merge(_read(_shared(path.parent, path, base)), raw)
    if raw.get("key") != path.stem:
        raise DrillFileRefused(f"{path.name}: the key must be the file's name")
    try:
        pack_load(raw)
    except PackError as error:
        raise DrillFileRefused(f"{path.name}: {error}") from error
    return raw


def _packs(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.yaml")):
        yield pack_read(path)


def _shared(folder: Path, path: Path, name: object) -> Path:
    shared = folder / SHARED / f"{Path(str(name)).stem}.yaml"
    if not shared.is_file():
        raise DrillFileRefused(f"{path.name}: extends {name}, which is not in {SHARED}/")
    return shared


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_FILE:
        raise DrillFileRefused(f"{path.name}: larger than {LARGEST_FILE} bytes")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DrillFileRefused(f"{path.name}: {error}") from error
    if not isinstance(raw, dict):
        raise DrillFileRefused(f"{path.name}: must be a mapping")
    return raw
