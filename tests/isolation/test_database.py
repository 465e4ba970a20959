"""PostgreSQL alone: every table, every limit to agencies, every reference between tenants' rows."""

from tenants.tests.test_locks import OF_ALL_AGENCIES
from tests.isolation.database_guards import (
    agency_problems,
    reference_problems,
    references,
    table_problems,
)
from tests.isolation.world import tenant_models


def test_no_table_shows_or_takes_a_strangers_row(world):
    tables = [model._meta.db_table for model in tenant_models()]
    assert [p for table in tables for p in table_problems(world, table)] == []


def test_every_table_that_knows_agencies_is_limited_to_them(world):
    tables = {model._meta.db_table for model in tenant_models()} - OF_ALL_AGENCIES
    assert [p for table in sorted(tables) for p in agency_problems(world, table)] == []


def test_no_reference_takes_a_strangers_row(world):
    found = references()
    assert len(found) >= 20
    assert [p for each in found for p in reference_problems(world, *each)] == []
