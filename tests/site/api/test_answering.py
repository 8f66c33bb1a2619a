"""What all answers have in common."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from cenote.errors import StorageError
from cenote.site.papers import Paper
from cenote.site.state import Site
from cenote.site.store.saving import save_papers
from tests.site.api.conftest import FULL

PATHS = [
    "/api/daily_papers",
    "/api/papers/search",
    f"/api/papers/{FULL.id}",
    "/api/methods",
    "/api/methods/order-theory",
    "/api/claims",
    "/api/claims.csv",
    "/feed.atom",
    "/feed.json",
    "/feed/results.atom",
    "/feed/results.json",
]


@pytest.mark.parametrize("path", PATHS)
def test_who_has_the_newest_is_sent_nothing(client: TestClient, path: str) -> None:
    first = client.get(path)
    tag = first.headers["etag"]
    assert first.status_code == 200
    assert first.headers["cache-control"].startswith("public, max-age=")
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (tag, first.headers["cache-control"])
        assert "content-type" not in again.headers
    for other in ('W/"other"', "", tag.replace('"', "")):
        assert client.get(path, headers={"If-None-Match": other}).content == first.content


@pytest.mark.parametrize("path", PATHS)
def test_head_answers_as_get_does(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(got.headers)
    assert client.head(path, headers={"If-None-Match": got.headers["etag"]}).status_code == 304
    refused = client.post(path)
    assert (refused.status_code, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


@pytest.mark.parametrize("path", ["/api/nothing", "/api/papers/2602.99999", "/feed.atom?date=soon"])
def test_head_is_refused_as_get_is(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code in (404, 422)
    assert head.headers["content-type"] == got.headers["content-type"] == "application/json"


def test_a_paper_imported_late_changes_the_tag(own_client: TestClient, own_site: Site) -> None:
    tags = {path: own_client.get(path).headers["etag"] for path in ("/feed.atom", "/api/daily_papers")}
    with own_site.database.write() as connection:
        save_papers(connection, [Paper(id="2001.00001", title="Late", featured=dt.date(2020, 1, 1))])
    for path, tag in tags.items():
        assert own_client.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_the_description_names_every_route_and_error(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    paths = {path.replace("{paper}", FULL.id).replace("{slug}", "order-theory") for path in described["paths"]}
    assert paths == set(PATHS)
    assert {method for methods in described["paths"].values() for method in methods} == {"get"}
    for path, [operation] in ((path, list(methods.values())) for path, methods in described["paths"].items()):
        assert operation["description"], path
        assert set(operation["responses"]) - {"404"} == {"200", "304", "422", "503"}
        assert operation["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
        assert all(each["description"] for each in operation.get("parameters", ()))
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_there_is_nothing_elsewhere(client: TestClient) -> None:
    for path in ("/api/", "/api/papers2", "/api/%00", "/api/methods/none", "/api/methods/Order-Theory"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert list(answer.json()) == ["error"]
    assert client.post("/api/daily_papers").status_code == 405


def test_a_store_that_fails_is_503(
    own_client: TestClient, own_site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def fails() -> Iterator[None]:
        raise StorageError("the database cannot be opened: /secret/place")
        yield

    monkeypatch.setattr(own_site.database, "read", fails)
    answer = own_client.get("/feed.atom")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert answer.json() == {"error": "the store does not answer just now; try again"}
    assert "/secret/place" in caplog.text
