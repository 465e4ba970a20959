"""What the pages of reps, agencies and assignments show."""

import uuid
from datetime import timedelta

from django.utils import timezone

from calls.assignments.giving import Wish, assignment_create
from calls.models import Assignment
from tenants.isolation import tenant_scope
from tenants.models import Rep
from tests.dashboard.bed import OWNER, Side


def rep_of(side: Side, external_id: str = "rep_1") -> str:
    with tenant_scope(side.tenant.pk):
        return Rep.objects.get(external_id=external_id).public_id


def assignments_seed(side: Side) -> None:
    """Two for the rep of north, the second over; one for the rep of south."""
    today = timezone.now().date()
    for number, (drill_rep, days) in enumerate((("rep_1", 3), ("rep_2", 1), ("rep_1", 5))):
        wish = Wish(
            form_id=uuid.uuid4(),
            drill_key="ma-full-sale",
            due_on=today + timedelta(days=days),
            pass_mark=70,
            reps=[rep_of(side, drill_rep)],
            focus="Asked which doctors the customer wants to keep",
            note="Ask early.",
        )
        made = assignment_create(
            tenant_id=side.tenant.pk, agencies=(), wish=wish, actor=f"user:{side.users[OWNER].pk}"
        )
        if number == 0:
            side.things["assignment"] = made.public_id
    with tenant_scope(side.tenant.pk):
        Assignment.objects.filter(public_id=made.public_id).update(
            due_on=today - timedelta(days=1), created_at=timezone.now() - timedelta(days=9)
        )
