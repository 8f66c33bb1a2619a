"""Methods, claims and the table of claims."""

from __future__ import annotations

import csv
import io
import json

from starlette.testclient import TestClient

from cenote.catalog.results import RESULTS
from cenote.site.state import Site
from tests.site.api.conftest import BASE


def test_every_card_is_listed(client: TestClient, site: Site) -> None:
    found = client.get("/api/methods").json()
    assert [each["slug"] for each in found] == [method.card.slug for method in site.methods]
    measured = [each for each in found if each["run_id"]]
    assert {each["slug"] for each in measured} == {path.name for path in RESULTS.iterdir()}
    assert all(each["verdicts"] for each in measured)
    assert all(each["details"] == f"{BASE}/api/methods/{each['slug']}" for each in found)


def test_methods_can_be_filtered(client: TestClient, site: Site) -> None:
    on_shelf = client.get("/api/methods", params={"shelf": "tracking"}).json()
    assert [each["slug"] for each in on_shelf] == [m.card.slug for m in site.methods if m.card.shelf == "tracking"]
    for word in ("holds", "fails", "unclear"):
        found = {each["slug"] for each in client.get("/api/methods", params={"verdict": word}).json()}
        assert found == {m.card.slug for m in site.methods if word in [v.word for v in m.verdicts]}
    stale = {each["slug"] for each in client.get("/api/methods", params={"verdict": "stale"}).json()}
    assert stale == {method.card.slug for method in site.methods if method.stale}


def test_a_method_has_its_card_and_history(client: TestClient, site: Site) -> None:
    method = site.methods.by_slug("order-theory")
    assert method is not None
    found = client.get("/api/methods/order-theory").json()
    assert found["card"] == json.loads(method.card.model_dump_json())
    index = json.loads((RESULTS / "order-theory" / "index.json").read_text())
    assert [run["run_id"] for run in found["results"]] == [run["run_id"] for run in reversed(index["runs"])]
    for run in found["results"]:
        stored = json.loads((RESULTS / "order-theory" / f"{run['run_id']}.json").read_text())
        assert run["verdicts"] == stored["verdicts"]
        assert run["commit"] == stored["commit"]
        assert run["records"] == f"{BASE}/papers/{method.card.arxiv}/results/{run['run_id']}.json"


def test_a_card_without_results(client: TestClient, site: Site) -> None:
    listed = next(method for method in site.methods if not method.results)
    found = client.get(f"/api/methods/{listed.card.slug}").json()
    assert (found["results"], found["stale"]) == ([], False)


def test_claims_are_those_of_the_newest_results(client: TestClient, site: Site) -> None:
    found = client.get("/api/claims").json()
    assert [(each["slug"], each["claim"], each["data"], each["word"]) for each in found] == [
        (method.card.slug, verdict.claim, verdict.data, verdict.word)
        for method in site.methods
        for verdict in method.verdicts
    ]
    for each in found:
        method = site.methods.by_slug(each["slug"])
        assert method is not None
        if each["sentence"] is not None:
            claim = method.card.claim(each["claim"])
            assert (each["sentence"], each["kind"], each["metric"]) == (claim.sentence, claim.kind, claim.metric)
            assert each["figure"] == (None if claim.figure == "not known" else claim.figure)
    words = [each["word"] for each in found]
    for word in set(words):
        assert len(client.get("/api/claims", params={"verdict": word}).json()) == words.count(word)
    assert client.get("/api/claims", params={"shelf": "tracking"}).json() == []


def test_the_table_has_a_line_for_each_comparison(client: TestClient) -> None:
    answer = client.get("/api/claims.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    claims = client.get("/api/claims").json()
    pairs = [(claim, each) for claim in claims for each in claim["comparisons"] or [{}]]
    assert len(lines) == len(pairs) > len(claims)
    for line, (claim, comparison) in zip(lines, pairs, strict=True):
        assert (line["claim"], line["reason"], line["link"]) == (claim["claim"], claim["reason"], claim["link"])
        assert line["baseline"] == (comparison.get("baseline") or "")
        estimate = comparison.get("estimate")
        assert line["estimate"] == ("" if estimate is None else str(estimate))
