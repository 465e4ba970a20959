"""What a member may do, by role. The whole table is here; `for_members(needs=...)` asks it."""

from enum import StrEnum

from tenants.models import Membership


class Ability(StrEnum):
    """Something that not every member may do. Looking at calls and reps needs none of them."""

    REVIEW = "review"  # change a verdict, comment, answer a dispute, score again
    ERASE = "erase"  # delete a call or a rep's data
    COACH = "coach"  # assign drills; edit reps and agencies
    DEVELOP = "develop"  # keys, webhooks, logs, origins
    ADMINISTER = "administer"  # the team, branding, retention, policies
    OWN = "own"  # owners themselves


_Role = Membership.Role
ABILITIES: dict[str, frozenset[Ability]] = {
    _Role.OWNER: frozenset(Ability),
    _Role.MANAGER: frozenset({Ability.REVIEW, Ability.ERASE, Ability.COACH, Ability.ADMINISTER}),
    _Role.ANALYST: frozenset(),
    _Role.DEVELOPER: frozenset({Ability.DEVELOP}),
}
# What concerns the tenant as a whole: nobody whose membership is limited to agencies may do it.
OF_THE_WHOLE_TENANT = frozenset({Ability.DEVELOP, Ability.ADMINISTER, Ability.OWN})


def abilities_of(role: str, *, limited: bool) -> frozenset[Ability]:
    """The abilities of a role; `limited` for a membership that is limited to agencies."""
    abilities = ABILITIES.get(role, frozenset())
    return abilities - OF_THE_WHOLE_TENANT if limited else abilities
