import base64
import hashlib
import json

import pytest
from django.test import RequestFactory

from athos import sdk
from athos.sdk import sdk_file, sdk_keep

TARBALL = "useathos-webhooks-1.0.0.tgz"
WHEEL = "useathos_webhooks-1.0.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch, settings):
    settings.SDK_RELEASES_DIR = str(tmp_path / "kept")
    (tmp_path / "useathos-sdk.js").write_text("export const a = 1;")
    (tmp_path / "useathos-sdk-1.0.0.tgz").write_bytes(b"\x1f\x8b")
    (tmp_path / "useathos-sdk-1.0.0.js").write_text("export const a = 1;")
    hashes = {"useathos-sdk-1.0.0.js": "sha512-a", "useathos-sdk-1.0.0.tgz": "sha512-b"}
    text = json.dumps({"version": "1.0.0", "integrity": hashes})
    (tmp_path / "integrity.json").write_text(text)
    (tmp_path / "secret.txt").write_text("no")
    monkeypatch.setattr(sdk, "FOLDER", tmp_path)
    (tmp_path / TARBALL).write_bytes(b"\x1f\x8b")
    (tmp_path / WHEEL).write_bytes(b"PK")
    monkeypatch.setattr(sdk, "WEBHOOKS_FOLDER", tmp_path)
    return tmp_path


def get(client, name, **headers):
    return client.get(f"/sdk/{name}", headers={"Origin": "https://integrator.example", **headers})


def test_any_origin_may_import_the_module(client):
    response = get(client, "useathos-sdk.js")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/javascript; charset=utf-8"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response
    assert response.content == b"export const a = 1;"


def test_a_page_may_pin_the_module_by_its_hash(client):
    assert get(client, "useathos-sdk-1.0.0.js").content == b"export const a = 1;"
    hashes = get(client, "integrity.json")
    assert hashes["Content-Type"] == "application/json"
    assert hashes["Access-Control-Allow-Origin"] == "*"
    assert hashes.json()["version"] == "1.0.0"
    assert hashes.json()["integrity"]["useathos-sdk-1.0.0.js"] == "sha512-a"
    assert hashes.json()["earlier"] == {}


def test_an_upgrade_takes_no_version_away(client, built):
    assert sdk_keep() == sdk_keep() == []
    before = {name: get(client, name).content for name in built_names("1.0.0")}
    upgrade(built, "1.1.0")
    assert sdk_keep() == []
    for name, content in before.items():
        answer = get(client, name)
        assert answer.content == content
        hashed = base64.b64encode(hashlib.sha512(content).digest()).decode()
        assert get(client, "integrity.json").json()["earlier"][name] == f"sha512-{hashed}"
    assert get(client, "useathos-sdk-1.1.0.js").content == b"export const a = 2;"
    assert set(get(client, "integrity.json").json()["earlier"]) == set(before)


def test_other_content_under_a_version_that_was_offered_is_told(client, built):
    sdk_keep()
    (built / "useathos-sdk-1.0.0.js").write_text("export const a = 3;")
    assert sdk_keep() == ["useathos-sdk-1.0.0.js"]
    assert sdk_keep() == []


def built_names(version):
    return [f"useathos-sdk-{version}.{kind}" for kind in ("js", "tgz")]


def upgrade(built, version):
    for file in built.glob("useathos-sdk-*"):
        file.unlink()
    for name in built_names(version):
        (built / name).write_text("export const a = 2;")
    hashes = dict.fromkeys(built_names(version), "sha512-c")
    (built / "integrity.json").write_text(json.dumps({"version": version, "integrity": hashes}))


def test_the_tarball_can_be_installed(client):
    response = get(client, "useathos-sdk-1.0.0.tgz")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/gzip"


def test_an_unchanged_module_is_not_sent_again(client, built):
    first = get(client, "useathos-sdk.js")
    again = get(client, "useathos-sdk.js", If_None_Match=first["ETag"])
    assert again.status_code == 304
    assert again.content == b""
    (built / "useathos-sdk.js").write_text("export const a = 2;")
    assert get(client, "useathos-sdk.js", If_None_Match=first["ETag"]).status_code == 200


@pytest.mark.parametrize(
    "name", ["secret.txt", "useathos-sdk-1.0.1.tgz", "..", "useathos-sdk.js.map"]
)
def test_nothing_else_is_served(client, name):
    assert get(client, name).status_code == 404


def test_a_module_that_was_not_built_is_not_there(client, built):
    (built / "useathos-sdk.js").unlink()
    assert get(client, "useathos-sdk.js").status_code == 404


def test_it_can_only_be_read():
    response = sdk_file(RequestFactory().post("/sdk/useathos-sdk.js"), name="useathos-sdk.js")
    assert response.status_code == 405


@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [(TARBALL, "application/gzip", b"\x1f\x8b"), (WHEEL, "application/zip", b"PK")],
)
def test_the_helpers_for_webhooks_can_be_installed(client, name, content_type, content):
    response = get(client, f"webhooks/{name}")
    assert (response.status_code, response.content) == (200, content)
    assert response["Content-Type"] == content_type
    etag = response["ETag"]
    assert get(client, f"webhooks/{name}", If_None_Match=etag).status_code == 304
    hashes = get(client, "webhooks/integrity.json").json()
    assert hashes["integrity"].keys() == hashes["sha256"].keys() == {TARBALL, WHEEL}
    assert hashes["sha256"][name] == hashlib.sha256(content).hexdigest()
    assert hashes["integrity"][name].startswith("sha512-")


@pytest.mark.parametrize("name", ["secret.txt", "useathos-sdk.js", "useathos-webhooks-1.0.1.tgz"])
def test_nothing_else_is_served_beside_the_helpers(client, name):
    assert get(client, f"webhooks/{name}").status_code == 404
