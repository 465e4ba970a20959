"""People for the pages of Settings."""

from tenants.invitations import invitation_create
from tests.dashboard.bed import Side


def seed_team(side: Side) -> None:
    """An invitation that waits."""
    north = side.agencies["north"].pk
    invitation_create(
        tenant_id=side.tenant.pk, email="waits@example.com", role="analyst", agencies=(north,)
    )
