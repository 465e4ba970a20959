"""The audit log as people read it: in pages, filtered, without ids of ours."""

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.audit_log import audit_actions, audit_page_of
from tenants.isolation import tenant_scope
from tenants.models import AuditEvent, User
from tenants.services import audit, tenant_create
from tenants.tests.signing import signed_in

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


@pytest.fixture
def acme(db):
    return tenant_create(name="Acme", owner=User.objects.create_user("owner@example.com"))


@pytest.fixture
def many(acme):
    """120 events of two actions, several at one moment."""
    owner = User.objects.get()
    at = timezone.now() + timedelta(hours=1)
    with tenant_scope(acme.pk):
        for number in range(120):
            audit(
                tenant_id=acme.pk,
                actor=f"user:{owner.pk}" if number % 2 else "system",
                action="b.done" if number % 2 else "a.done",
                target=f"user:{uuid.uuid4()}" if number % 3 else f"call:{uuid.uuid4()}",
                details={"number": number, "none": None, "list": [1, 2]},
            )
        with pytest.raises(Exception, match="permission denied"), tenant_scope(acme.pk):
            AuditEvent.objects.update(at=at)
    return acme


def test_pages_follow_each_other_without_a_gap(many):
    seen, cursor = [], ""
    while True:
        page = audit_page_of(tenant_id=many.pk, cursor=cursor)
        seen += [entry.details for entry in page.entries]
        cursor = page.older
        if not cursor:
            break
    numbers = [int(found[1]) for said in seen if (found := re.search(r"number (\d+)", said))]
    assert sorted(numbers) == list(range(120))
    assert len(seen) == 121  # the tenant's making too


def test_filters_by_person_and_action(many):
    page = audit_page_of(tenant_id=many.pk, actor="owner@example.com")
    assert {(e.actor, e.action) for e in page.entries} == {("owner@example.com", "b.done")}
    page = audit_page_of(tenant_id=many.pk, actor="system", action="b.done")
    assert page.entries == ()
    assert audit_page_of(tenant_id=many.pk, actor="nobody@example.com").entries == ()
    assert audit_actions(tenant_id=many.pk) == ["a.done", "b.done", "tenant.create"]


def test_no_id_of_ours_leaves_and_no_stranger_reads_it(many):
    text = signed_in(User.objects.get()).get("/settings/audit").text
    assert "a person who is gone" in text
    assert not UUID.search(text)
    other = User.objects.create_user("stranger@example.com")
    tenant_create(name="Other", owner=other)
    stranger = signed_in(other)
    assert "a.done" not in stranger.get("/settings/audit").text
    cursor = audit_page_of(tenant_id=many.pk).older
    assert "a.done" not in stranger.get("/settings/audit", {"older": cursor}).text
    assert stranger.get("/settings/audit", {"older": "junk"}).status_code == 404


def test_a_page_is_a_few_queries(many, django_assert_max_num_queries):
    client = signed_in(User.objects.get())
    with django_assert_max_num_queries(20):
        client.get("/settings/audit")
    with django_assert_max_num_queries(20):
        client.get("/settings/team")
