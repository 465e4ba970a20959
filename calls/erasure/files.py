"""The files of a call in the storage: the parts, the recording, and what was left half made."""

import uuid
from collections.abc import Iterable

from django.core.files.storage import default_storage


class StorageUnavailable(Exception):
    """Files cannot be listed or deleted now: a retry may help."""


def folder_of(tenant_id: uuid.UUID, call_id: uuid.UUID) -> str:
    """Where whoever records or transcribes the call writes."""
    return f"{tenant_id}/{call_id}"


def call_files(tenant_id: uuid.UUID, call_id: uuid.UUID) -> list[str]:
    """All files in the call's folder, those that no row names included."""
    folder = folder_of(tenant_id, call_id)
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise StorageUnavailable from problem
    return [f"{folder}/{name}" for name in names]


def files_delete(names: Iterable[str]) -> None:
    """Delete files; one that is gone already is no matter."""
    try:
        for name in names:
            default_storage.delete(name)
    except OSError as problem:
        raise StorageUnavailable from problem


def folder_delete(tenant_id: uuid.UUID, call_id: uuid.UUID) -> None:
    """Delete the call's folder, which must be empty."""
    files_delete([folder_of(tenant_id, call_id)])
