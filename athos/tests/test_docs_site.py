import pytest
from django.test import RequestFactory

from athos import docs_site
from athos.docs_site import docs_file


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch):
    site = tmp_path / "site"
    (site / "webhooks").mkdir(parents=True)
    (site / "_static").mkdir()
    (site / "index.html").write_text("<h1>Docs</h1>")
    (site / "webhooks" / "index.html").write_text("<h1>Webhooks</h1>")
    (site / "_static" / "furo.js").write_text("1")
    (tmp_path / "secret.txt").write_text("no")
    monkeypatch.setattr(docs_site, "FOLDER", site)
    return site


def test_a_page_is_served_under_its_folder(client):
    assert client.get("/docs/").content == b"<h1>Docs</h1>"
    page = client.get("/docs/webhooks/")
    assert (page.status_code, page.content) == (200, b"<h1>Webhooks</h1>")
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert page["Cache-Control"] == "no-cache"


def test_a_missing_slash_is_added(client):
    for address in ("/docs", "/docs/webhooks"):
        moved = client.get(address)
        assert (moved.status_code, moved["Location"]) == (301, f"{address}/")


def test_a_page_runs_files_of_ours_and_nothing_else(client):
    policy = client.get("/docs/")["Content-Security-Policy"]
    assert "script-src 'self';" in f"{policy};"
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy and "http" not in policy and "nonce" not in policy
    assert client.get("/docs/")["X-Content-Type-Options"] == "nosniff"


def test_what_a_page_loads_is_kept_for_a_while(client):
    script = client.get("/docs/_static/furo.js")
    assert script["Content-Type"].startswith("text/javascript")
    assert script["Cache-Control"] == "public, max-age=300"


def test_an_unchanged_page_is_not_sent_again(client, built):
    first = client.get("/docs/")
    assert client.get("/docs/", headers={"If-None-Match": first["ETag"]}).status_code == 304
    (built / "index.html").write_text("<h1>New</h1>")
    assert client.get("/docs/", headers={"If-None-Match": first["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("nothing", "nothing/", "webhooks/index", "../secret.txt", "..%2Fsecret.txt"),
        *("_static/", "_static", "%00", "a%00b", "a" * 300, "a/" * 90, "/etc/passwd"),
        *("..", "caf%C3%A9"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(client, path):
    missing = client.get(f"/docs/{path}")
    assert missing.status_code == 404
    assert missing["Content-Type"].startswith("text/html")
    assert b"secret" not in missing.content


def test_an_unknown_page_shows_the_way_back(client):
    assert b'href="/docs/"' in client.get("/docs/nothing/").content


def test_docs_that_were_not_built_are_not_there(client, built, monkeypatch):
    monkeypatch.setattr(docs_site, "FOLDER", built / "away")
    assert client.get("/docs/").status_code == 404


def test_they_can_only_be_read():
    assert docs_file(RequestFactory().post("/docs/"), path="").status_code == 405
