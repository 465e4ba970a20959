"""Rubrics and scorecards in the database: kept once, never changed, hidden from strangers."""

import asyncio
import dataclasses
import uuid

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from scoring import models, selectors, services
from scoring.assessing import Assessment, assess
from scoring.judges.embedded import EmbeddedJudge
from scoring.rubric import RubricError, rubric_parse
from scoring.tests.making import check_content, embed, rubric_content, talk
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import Rep, Tenant

Call = apps.get_model("calls", "Call")  # scoring lies below calls and imports nothing of it
Drill = apps.get_model("calls", "Drill")

pytestmark = pytest.mark.django_db

CONTENT = rubric_content(
    check_content("greets"),
    check_content("thanks", rule={"yes": {"say": ["thank you"]}}),
)
TRANSCRIPT = talk(("P", "Yes?"), ("R", "Hello, I am Sam."), ("P", "Hi."), ("R", "Goodbye."))


def tenant_make() -> uuid.UUID:
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        Tenant.objects.create(id=tenant_id, name="Academy")
    return tenant_id


def call_make(tenant_id: uuid.UUID):
    now = timezone.now()
    rep = Rep.objects.create(tenant_id=tenant_id, external_id=f"rep-{uuid.uuid4()}")
    drill = Drill.objects.create(
        tenant_id=tenant_id, key="own", version=1, digest="0" * 64, title="Own", pack={}
    )
    return Call.objects.create(
        tenant_id=tenant_id,
        rep=rep,
        external_user_id=rep.external_id,
        drill_owner_id=tenant_id,
        drill=drill,
        drill_key="own",
        persona_name="Margaret",
        seed=1,
        stage=Call.Stage.TRANSCRIBED,
        started_at=now,
        ended_at=now,
    )


def assessment_make(content=CONTENT) -> Assessment:
    return asyncio.run(assess(TRANSCRIPT, rubric_parse(content), EmbeddedJudge(embed)))


@pytest.fixture
def tenant(db) -> uuid.UUID:
    return tenant_make()


@pytest.fixture
def stranger(db) -> uuid.UUID:
    return tenant_make()


def scored(tenant_id: uuid.UUID, **changes) -> tuple:
    call = call_make(tenant_id)
    rubric = services.rubric_create(tenant_id=tenant_id, content=CONTENT)
    card = services.scorecard_create(
        tenant_id=tenant_id,
        call_id=call.pk,
        rubric=rubric,
        assessment=assessment_make(),
        **changes,
    )
    return call, card


def test_scoring_twice_keeps_the_first_scorecard(tenant):
    with tenant_scope(tenant):
        call, first = scored(tenant)
        other = dataclasses.replace(
            assessment_make(), score=dataclasses.replace(assessment_make().score, overall=99)
        )
        again = services.scorecard_create(
            tenant_id=tenant, call_id=call.pk, rubric=first.rubric, assessment=other
        )
        assert again.pk == first.pk
        assert again.overall == 50
        assert models.Scorecard.objects.count() == 1
        assert models.Verdict.objects.count() == 2


def test_scoring_again_on_purpose_keeps_the_old_scorecard(tenant):
    with tenant_scope(tenant):
        call, first = scored(tenant)
        second = services.scorecard_create(
            tenant_id=tenant,
            call_id=call.pk,
            rubric=first.rubric,
            assessment=assessment_make(),
            version=2,
        )
        assert models.Scorecard.objects.filter(call=call).count() == 2
        assert selectors.scorecard_of(tenant_id=tenant, call_id=call.pk) == second


def test_the_api_object_names_versions_and_evidence(tenant):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        told = selectors.score_for_api(tenant_id=tenant, call_id=call.pk)
    assert told is not None
    assert told["overallScore"] == 50
    assert told["summary"].startswith("Small rubric: 50 of 100, 4 of 8 points.")
    greets, thanks = told["criteria"]
    assert greets["answer"] == "yes"
    assert greets["evidence"]["kind"] == "quote"
    assert greets["evidence"]["quote"] == "Hello, I am Sam."
    assert greets["evidence"]["turn"] == 2
    assert (greets["evidence"]["start"], greets["evidence"]["end"]) == (3.0, 5.0)
    assert thanks["answer"] == "no"
    assert thanks["evidence"]["kind"] == "absence"
    assert thanks["evidence"]["turnsSearched"] == 2
    assert told["versions"]["rubric"]["version"] == 1
    assert told["versions"]["judge"]["name"] == "embedded"
    assert told["metrics"]["repTurns"] == 2
    assert told["metrics"]["paceWordsPerMinute"] is None


def test_a_call_without_scorecard_has_no_score(tenant):
    with tenant_scope(tenant):
        assert selectors.score_for_api(tenant_id=tenant, call_id=call_make(tenant).pk) is None


def test_an_assessment_by_another_rubric_is_refused(tenant):
    with tenant_scope(tenant):
        rubric = services.rubric_create(tenant_id=tenant, content=CONTENT)
        other = assessment_make(rubric_content(check_content(points=9)))
        with pytest.raises(ValueError, match="another rubric"):
            services.scorecard_create(
                tenant_id=tenant, call_id=call_make(tenant).pk, rubric=rubric, assessment=other
            )


# --- rubrics ----------------------------------------------------------------------------------


def test_the_same_content_makes_one_version_and_a_change_the_next(tenant):
    with tenant_scope(tenant):
        first = services.rubric_create(tenant_id=tenant, content=CONTENT)
        same = services.rubric_create(tenant_id=tenant, content=dict(reversed(CONTENT.items())))
        changed = services.rubric_create(tenant_id=tenant, content=CONTENT | {"title": "New"})
        assert same == first
        assert (first.version, changed.version) == (1, 2)
        assert rubric_parse(changed.content).digest == changed.digest


def test_a_faulty_rubric_is_not_kept(tenant):
    with tenant_scope(tenant):
        with pytest.raises(RubricError):
            services.rubric_create(tenant_id=tenant, content=CONTENT | {"format": 7})
        assert not models.Rubric.objects.exists()


def catalogue_make() -> None:
    with tenant_scope(CATALOGUE):
        Tenant.objects.get_or_create(id=CATALOGUE, defaults={"name": "Catalogue"})


def test_loading_the_catalogue_twice_adds_nothing(tenant):
    catalogue_make()
    assert services.rubrics_load() >= 1
    assert services.rubrics_load() == 0
    with tenant_scope(tenant):
        rubric = selectors.rubric_latest(tenant_id=tenant, key="ma-full-sale")
        assert rubric is not None
        assert rubric.tenant_id == CATALOGUE


def test_a_tenants_own_rubric_goes_before_the_catalogues(tenant, stranger):
    catalogue_make()
    services.rubrics_load()
    with tenant_scope(tenant):
        own = services.rubric_create(tenant_id=tenant, content=CONTENT | {"key": "ma-full-sale"})
        assert selectors.rubric_latest(tenant_id=tenant, key="ma-full-sale") == own
    with tenant_scope(stranger):
        other = selectors.rubric_latest(tenant_id=stranger, key="ma-full-sale")
        assert other is not None
        assert other.tenant_id == CATALOGUE


# --- strangers, and what never changes --------------------------------------------------------


def test_a_stranger_sees_no_scorecard_verdict_or_rubric(tenant, stranger):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
    with tenant_scope(stranger):
        assert selectors.score_for_api(tenant_id=stranger, call_id=call.pk) is None
        assert selectors.rubric_latest(tenant_id=stranger, key="small") is None
        with connection.cursor() as cursor:  # past the managers: the database itself hides them
            for table in ("scoring_scorecard", "scoring_verdict", "scoring_rubric"):
                cursor.execute(f"SELECT count(*) FROM {table} WHERE tenant_id <> %s", [CATALOGUE])
                assert cursor.fetchone() == (0,)


def test_a_stranger_cannot_score_a_call_of_another_tenant(tenant, stranger):
    with tenant_scope(tenant):
        call = call_make(tenant)
    with pytest.raises(DatabaseError), tenant_scope(stranger):
        rubric = services.rubric_create(tenant_id=stranger, content=CONTENT)
        services.scorecard_create(
            tenant_id=stranger, call_id=call.pk, rubric=rubric, assessment=assessment_make()
        )
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_scorecard_cannot_use_another_tenants_rubric(tenant, stranger):
    with tenant_scope(stranger):
        foreign = services.rubric_create(tenant_id=stranger, content=CONTENT)
    with pytest.raises(DatabaseError), tenant_scope(tenant):
        services.scorecard_create(
            tenant_id=tenant,
            call_id=call_make(tenant).pk,
            rubric=foreign,
            assessment=assessment_make(),
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda: models.Scorecard.objects.update(overall=100),
        lambda: models.Verdict.objects.update(answer="yes"),
        lambda: models.Rubric.objects.update(title="Other"),
        lambda: models.Rubric.objects.all().delete(),
    ],
    ids=["scorecard", "verdict", "rubric", "rubric removed"],
)
def test_what_is_scored_is_never_changed(tenant, change):
    with tenant_scope(tenant):
        call_make(tenant)
        services.rubric_create(tenant_id=tenant, content=CONTENT)
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            change()


def test_erasing_a_call_erases_its_scorecard(tenant):
    with tenant_scope(tenant):
        call, _ = scored(tenant)
        models.Verdict.objects.filter(scorecard__call=call).delete()
        models.Scorecard.objects.filter(call=call).delete()
        call.delete()
        assert not models.Verdict.objects.exists()
