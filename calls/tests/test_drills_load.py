"""The shipped drills and the demo: loaded once, again only when something changed."""

import json
import stat

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction

from calls.models import Drill
from calls.selectors import drill_find
from calls.services import demo, drills
from calls.services.demo import demo_ensure
from calls.services.drills import DrillFileRefused, catalogue_load, drill_add
from calls.tests.making import code, make_integrator
from tenants import keys
from tenants.auth import caller_find
from tenants.errors import ApiKeyRevoked
from tenants.isolation import CATALOGUE, tenant_scope
from tenants.models import User
from tenants.selectors import memberships_of

pytestmark = pytest.mark.django_db

BASE = "http://localhost:8000"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of drills; what makes a pack good is the director's to say, not this test's."""
    (tmp_path / "shared").mkdir()
    monkeypatch.setattr(drills, "pack_load", lambda raw: raw)
    return tmp_path


def write(folder, key, **pack):
    whole = {"key": key, "title": "A drill", "persona": {"name": "Dolores"}} | pack
    (folder / f"{key}.yaml").write_text(yaml.safe_dump(whole))


def versions():
    with tenant_scope(CATALOGUE):
        return sorted(Drill.objects.values_list("key", "version"))


def test_a_changed_drill_becomes_a_new_version(folder):
    write(folder, "ma-full-sale")
    write(folder, "ma-t65")
    assert len(catalogue_load(folder)) == 2
    assert catalogue_load(folder) == []
    write(folder, "ma-t65", title="Another title")
    assert [(d.key, d.version) for d in catalogue_load(folder)] == [("ma-t65", 2)]
    assert versions() == [("ma-full-sale", 1), ("ma-t65", 1), ("ma-t65", 2)]
    integrator = make_integrator()
    with tenant_scope(integrator.tenant.pk):
        assert drill_find(tenant=integrator.tenant, key="ma-t65").title == "Another title"


def test_the_order_of_keys_is_no_change(folder):
    write(folder, "ma-t65", facts={"a": 1, "b": 2})
    catalogue_load(folder)
    write(folder, "ma-t65", facts={"b": 2, "a": 1})
    assert catalogue_load(folder) == []


def test_a_drill_extends_a_shared_pack(folder):
    (folder / "shared" / "manners.yaml").write_text("lines: {hello: [Hi], bye: [Bye]}\n")
    write(folder, "ma-t65", extends="manners", lines={"bye": ["See you"]})
    (drill,) = catalogue_load(folder)
    assert drill.pack["lines"] == {"hello": ["Hi"], "bye": ["See you"]}


@pytest.mark.parametrize(
    "text",
    ["- a list", "key: other-name\n", "key: [", "\x00", "extends: nobody\n", "key: bad\nkey2: {{}",
     "!!python/object/apply:os.system ['true']"],
)  # fmt: skip
def test_a_bad_file_is_named_and_nothing_is_stored(folder, text):
    write(folder, "a-good-one")
    (folder / "bad.yaml").write_text(text)
    with pytest.raises(DrillFileRefused, match=r"bad\.yaml"):
        catalogue_load(folder)
    assert versions() == []


def test_the_command_refuses_with_the_files_name(tmp_path):
    (tmp_path / "thin.yaml").write_text("key: thin\n")
    with pytest.raises(CommandError, match=r"thin\.yaml"):
        call_command("drills_load", folder=tmp_path)


def test_the_shipped_drills_load(capsys):
    call_command("drills_load")
    call_command("drills_load")
    assert "up to date" in capsys.readouterr().out


def test_a_tenant_may_read_the_catalogue_and_not_write_it(folder):
    write(folder, "ma-t65")
    (drill,) = catalogue_load(folder)
    integrator = make_integrator()
    drill_add(tenant_id=integrator.tenant.pk, pack=drill.pack)  # its own copy
    with tenant_scope(integrator.tenant.pk):
        assert Drill.objects.count() == 1
        assert Drill.objects.with_catalogue().count() == 2
        shipped = Drill.objects.with_catalogue().filter(tenant_id=CATALOGUE)
        assert shipped.update(title="Mine") == 0
        assert shipped.delete()[0] == 0
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Drill.objects.create(
                tenant_id=CATALOGUE, key="x", version=1, digest="", title="", pack={}
            )


# --- the demo ------------------------------------------------------------------------------------


def test_the_demo_is_complete_private_and_works(tmp_path):
    out = tmp_path / "deep" / "demo.json"
    call_command("demo_seed", out=out, base_url=f"{BASE}/")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    made = json.loads(out.read_text())
    assert set(made) == {"baseUrl", "apiKey", "testApiKey", "webhookSecret", "dashboardUrl",
                         "managerEmail", "managerPassword", "exampleUrl"}  # fmt: skip
    assert (made["baseUrl"], made["exampleUrl"]) == (BASE, "http://localhost:8001")
    assert [keys.parse(made[name]) for name in ("apiKey", "testApiKey")] == ["live", "test"]
    assert made["webhookSecret"].startswith("whsec_")
    user = User.objects.get(email=made["managerEmail"])
    assert user.check_password(made["managerPassword"])
    assert [m.role for m in memberships_of(user.pk)] == ["owner"]
    assert caller_find(made["apiKey"], None).mode == "live"
    assert sorted(p.name for p in out.parent.iterdir()) == ["demo.json"]


def test_a_second_seed_changes_nothing_but_the_address(tmp_path):
    out = tmp_path / "demo.json"
    first = demo_ensure(out=out, base_url=BASE)
    written = out.stat().st_mtime_ns
    assert demo_ensure(out=out, base_url=BASE) == first
    assert out.stat().st_mtime_ns == written
    moved = demo_ensure(out=out, base_url="http://localhost:9100")
    assert moved["apiKey"] == first["apiKey"]
    assert moved["exampleUrl"] == "http://localhost:9101"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["lost", "broken", "other database"])
def test_a_file_that_does_not_fit_is_made_anew(tmp_path, damage):
    out = tmp_path / "demo.json"
    first = demo_ensure(out=out, base_url=BASE)
    if damage == "lost":
        out.unlink()
    elif damage == "broken":
        out.write_text("{")
    else:
        out.write_text(json.dumps(first | {"apiKey": keys.make("live")}))
    second = demo_ensure(out=out, base_url=BASE)
    assert second["apiKey"] != first["apiKey"]
    with pytest.raises(ApiKeyRevoked):
        caller_find(first["apiKey"], None)
    assert (second["webhookSecret"] == first["webhookSecret"]) == (damage == "other database")
    user = User.objects.get(email=demo.MANAGER_EMAIL)
    assert len(memberships_of(user.pk)) == 1


def test_a_file_lost_again_and_again_never_runs_into_the_five_keys(tmp_path):
    out = tmp_path / "demo.json"
    for _ in range(6):
        demo_ensure(out=out, base_url=BASE)
        out.unlink()


def test_a_tenant_is_made_by_command(capsys):
    call_command("tenant_create", name="Acme", owner_email="Ada@Example.com")
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["owner"] == "ada@example.com"
    key = printed["API"].removeprefix("key").strip()
    assert caller_find(key, None).tenant.name == "Acme"
    user = User.objects.get(email="ada@example.com")
    assert user.check_password(printed["password"])
    call_command("tenant_create", name="Beta", owner_email="ada@example.com")
    assert "password" not in capsys.readouterr().out
    assert [m.tenant_name for m in memberships_of(user.pk)] == ["Acme", "Beta"]
    with pytest.raises(CommandError):
        call_command("tenant_create", name="C", owner_email="ada@example.com", password="x")


def test_a_strangers_membership_is_not_among_mine():
    make_integrator("Stranger")
    user = User.objects.create(email="nobody@example.com")
    assert memberships_of(user.pk) == []


def test_the_demos_key_mints(tmp_path):
    made = demo_ensure(out=tmp_path / "demo.json", base_url=BASE)
    stranger = make_integrator()
    auth = {"Authorization": f"Bearer {made['testApiKey']}"}
    assert stranger.post("/session", {"externalUserId": "r"}, **auth).status_code == 200
    assert code(stranger.post("/session", {}, **auth)) == "INVALID_REQUEST"
