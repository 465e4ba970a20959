"""Calling the SQL functions that `work.sql` makes."""

from typing import Any

from django.db import connection

from work.kinds import Kind


def call_function(function: str, kind: Kind, *arguments: Any) -> list[Any]:
    """The rows of `<function>_<kind>(...)`. Names are ours: `Kind` checks its own."""
    places = ", ".join(["%s"] * len(arguments))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {function}_{kind.name}({places})", arguments)  # noqa: S608
        rows: list[Any] = cursor.fetchall()
    return rows
