"""What PostgreSQL read to answer a query, out of EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

SORTS = ("Sort", "Incremental Sort")


@dataclass(frozen=True)
class Plan:
    """How the rows of one table were read."""

    scans: frozenset[str]  # kinds of the nodes that read the table
    indexes: frozenset[str]
    rows: int  # read from the table, those that a filter refused included
    sorted_rows: int  # the most that a sort had to take
    blocks: int  # of 8 kB, index and table
    milliseconds: float

    @classmethod
    def read(cls, told: dict[str, Any], table: str) -> "Plan":
        nodes = list(_nodes(told["Plan"]))
        of_table = [node for node in nodes if node.get("Relation Name") == table]
        refused = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        return cls(
            scans=frozenset(node["Node Type"] for node in of_table),
            indexes=frozenset(node["Index Name"] for node in nodes if "Index Name" in node),
            rows=round(
                sum(
                    node["Actual Loops"]
                    * (node["Actual Rows"] + sum(node.get(r, 0) for r in refused))
                    for node in of_table
                )
            ),
            sorted_rows=round(
                max(
                    (
                        node["Plans"][0]["Actual Rows"]
                        for node in nodes
                        if node["Node Type"] in SORTS
                    ),
                    default=0,
                )
            ),
            blocks=told["Plan"]["Shared Hit Blocks"] + told["Plan"]["Shared Read Blocks"],
            milliseconds=told["Execution Time"],
        )


@contextmanager
def plans_kept(table: str) -> Iterator[list[Plan]]:
    """Of every SELECT from the table in the block, made beside the query in its own transaction."""
    kept: list[Plan] = []

    def explained(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if f'FROM "{table}"' in sql and sql.lstrip("(").startswith("SELECT"):
            with connection.connection.cursor() as cursor:  # not ours: it would come here again
                words = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
                answer = cursor.execute(words + sql, params).fetchone()[0]
            told = json.loads(answer) if isinstance(answer, str) else answer
            kept.append(Plan.read(told[0], table))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        yield kept


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)
