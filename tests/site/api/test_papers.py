"""The hub's routes: what they list, in which shape, and what they say of wrong questions."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from starlette.testclient import TestClient

from cenote.site.papers import Paper
from cenote.site.reading.daily import read_daily
from cenote.site.reading.records import Good
from cenote.site.search import Filters, Mode
from cenote.site.state import Site
from cenote.site.store.saving import save_papers
from tests.site.api.conftest import BASE, CARD, COUNTED, FULL, HOSTILE, OLD, UNDATED, XSS

DATED = [XSS.id, COUNTED.id, FULL.id, CARD, OLD.id]
"""The papers with a day, newest first."""


def get(client: TestClient, path: str, **parameters: object) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def listed(client: TestClient, **parameters: object) -> list[str]:
    return [item["paper"]["id"] for item in get(client, "/api/daily_papers", **parameters)]


# --- lists --------------------------------------------------------------------------------------------------------


def test_without_a_period_the_newest_come_first(client: TestClient) -> None:
    assert listed(client) == DATED
    assert listed(client, limit=2, p=1) == DATED[2:4]
    assert listed(client, limit=2, p=1_000_000) == []


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"date": "2026-02-11"}, [FULL.id]),
        ({"date": "2026-02-10"}, []),
        ({"week": "2026-W07"}, [COUNTED.id, FULL.id, CARD]),  # 9 to 15 February
        ({"week": "2026-W08"}, []),
        ({"month": "2026-02"}, [COUNTED.id, FULL.id, CARD]),
        ({"month": "1999-01"}, [OLD.id]),
        ({"submitter": "akhaliq"}, [FULL.id]),
        ({"submitter": "akhaliq", "month": "2026-03"}, []),
        ({"submitter": HOSTILE}, [XSS.id]),
        ({"date": "", "week": "", "month": "2026-03"}, [XSS.id]),
    ],
)
@pytest.mark.parametrize("sort", ["publishedAt", "trending"])
def test_papers_of_a_period(client: TestClient, parameters: dict[str, str], expected: list[str], sort: str) -> None:
    # Trending puts the one with votes before the rest, among which a verdict counts more than a day.
    by_votes = [FULL.id, CARD, COUNTED.id] if sort == "trending" and len(expected) == 3 else expected
    assert listed(client, sort=sort, **parameters) == by_votes


def test_a_paper_featured_today_with_votes_trends_first(own_client: TestClient, own_site: Site) -> None:
    today = dt.datetime.now(dt.UTC).date()
    new = [Paper(id=f"2611.0000{n}", title="New", featured=today, upvotes=n) for n in (1, 2)]
    with own_site.database.write() as connection:
        save_papers(connection, new)
    assert listed(own_client, sort="trending")[:3] == ["2611.00002", "2611.00001", CARD]


def test_an_item_has_the_hubs_shape(client: TestClient) -> None:
    [item] = get(client, "/api/daily_papers", date="2026-02-11")
    added = item.pop("cenote")
    person = {"user": "akhaliq", "fullname": "akhaliq"}
    place = {"name": "Pond University", "fullname": "Pond University"}
    assert item == {
        "paper": {
            "id": "2602.00001",
            "title": "Pooling of Ponds",
            "summary": "We pool ponds, fast.",
            "authors": [{"name": "Zoë Müller", "hidden": False}, {"name": "王小明", "hidden": False}],
            "numAuthors": 2,
            "publishedAt": "2026-02-08T18:00:01Z",
            "upvotes": 42,
            "submittedOnDailyAt": "2026-02-11T00:00:00Z",
            "submittedOnDailyBy": person,
            "ai_keywords": ["pooling", "ponds"],
            "organization": place,
            "projectPage": "https://ponds.example/pooling",
            "githubRepo": "https://github.com/pond/pool",
            "githubStars": 7,
        },
        "title": "Pooling of Ponds",
        "summary": "We pool ponds, fast.",
        "publishedAt": "2026-02-11T00:00:00Z",
        "submittedOnDailyAt": "2026-02-11T00:00:00Z",
        "submittedBy": person,
        "organization": place,
        "numComments": 3,
    }
    assert added == {
        "day": "2026-02-11",
        "updated": "2026-02-20T01:02:03Z",
        "categories": ["cs.CV", "cs.LG"],
        "method": None,
        "links": {
            "page": f"{BASE}/papers/2602.00001",
            "markdown": f"{BASE}/papers/2602.00001.md",
            "arxiv": "https://arxiv.org/abs/2602.00001",
            "pdf": "https://arxiv.org/pdf/2602.00001",
        },
    }


def test_another_site_can_import_the_list(client: TestClient) -> None:
    content = client.get("/api/daily_papers", params={"limit": 100}).content
    found = [record.paper for record in read_daily(io.BytesIO(content)) if isinstance(record, Good)]
    assert [paper.id for paper in found] == DATED
    by_id = {paper.id: paper for paper in found}
    # Categories and the day of the last version are not among the hub's fields; what the count says the names say too.
    full = FULL.model_copy(update={"updated": None, "categories": ()})
    assert by_id[FULL.id] == full
    assert by_id[COUNTED.id] == COUNTED.model_copy(update={"upvotes": 0, "comments": 0})


def test_a_paper_with_a_card_brings_its_verdicts(client: TestClient, site: Site) -> None:
    method = site.methods.by_paper(CARD)
    assert method is not None
    assert method.result is not None
    found = get(client, f"/api/papers/{CARD}")["cenote"]["method"]
    said = (method.card.slug, method.card.shelf, method.card.status, method.result.run_id, method.stale)
    assert (found["slug"], found["shelf"], found["status"], found["run_id"], found["stale"]) == said
    assert len(found["verdicts"]) == len(method.verdicts) > 0
    for told, verdict in zip(found["verdicts"], method.verdicts, strict=True):
        assert (told["claim"], told["data"], told["word"]) == (verdict.claim, verdict.data, verdict.word)
        assert told["link"] == f"{BASE}/papers/{CARD}#claim-{verdict.claim}-{verdict.data}"
        intervals = [(each["estimate"], each["low"], each["high"]) for each in told["comparisons"]]
        exact = [tuple(None if n != n else n for n in (c.estimate, c.low, c.high)) for c in verdict.comparisons]
        assert intervals == exact


# --- one paper ----------------------------------------------------------------------------------------------------


def test_one_paper_is_flat(client: TestClient) -> None:
    [item] = get(client, "/api/daily_papers", date="2026-02-11")
    alone = get(client, "/api/papers/2602.00001")
    assert alone == item["paper"] | {"numComments": 3, "cenote": item["cenote"]}


@pytest.mark.parametrize("name", ["hep-th/9901001", "hep-th/9901001v3", "hep-th%2F9901001", "arXiv:hep-th/9901001"])
def test_old_identifiers_have_a_slash(client: TestClient, name: str) -> None:
    found = get(client, f"/api/papers/{name}")
    assert found["id"] == "hep-th/9901001"
    assert found["cenote"]["links"]["page"] == f"{BASE}/papers/hep-th/9901001"


def test_what_is_not_known_is_null(client: TestClient) -> None:
    found = get(client, f"/api/papers/{UNDATED.id}")
    unknown = ("summary", "authors", "numAuthors", "publishedAt", "submittedOnDailyAt", "organization", "githubRepo")
    assert [found[name] for name in unknown] == [None] * len(unknown)


@pytest.mark.parametrize(
    "name", ["2602.99999", "nothing", "hep-th/9901002", "..%2F..%2Fetc%2Fpasswd", "%00", "", "a" * 5000]
)
def test_an_unknown_paper_is_404(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/papers/{name}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}
    assert len(answer.text) < 300


# --- search -------------------------------------------------------------------------------------------------------


def test_search_hands_everything_on(client: TestClient, asked: list[tuple[str, Filters, Mode, int, int]]) -> None:
    found = get(client, "/api/papers/search", q="pond", limit=5)
    assert {item["paper"]["id"] for item in found[:2]} == {FULL.id, UNDATED.id}
    every = {
        "first": "2026-01-02",
        "last": "2026-03-04",
        "author": " Ann\tLee ",
        "category": "cs.CV",
        "organization": "Pond\0 University",
        "shelf": "active_learning",
        "verdict": "stale",
        "has_code": "true",
    }
    get(client, "/api/papers/search", q="", mode="keyword", p=3, limit=7, **every)
    get(client, "/api/papers/search", **dict.fromkeys(every, ""))
    exact = Filters(
        first=dt.date(2026, 1, 2),
        last=dt.date(2026, 3, 4),
        author="Ann Lee",
        category="cs.CV",
        organization="Pond University",
        shelf="active_learning",
        verdict="stale",
        has_code=True,
    )
    assert asked == [
        ("pond", Filters(), Mode.HYBRID, 5, 0),
        ("", exact, Mode.KEYWORD, 7, 21),
        ("", Filters(), Mode.HYBRID, 20, 0),
    ]


@pytest.mark.parametrize("mode", Mode)
def test_an_answer_says_how_papers_were_looked_for(client: TestClient, mode: Mode) -> None:
    assert client.get("/api/papers/search", params={"q": "pond", "mode": mode}).headers["search-mode"] == mode


def test_an_answer_says_that_there_is_no_search_by_meaning(own_client: TestClient, own_site: Site) -> None:
    (own_site.settings.home / "encoder" / "encoder.json").unlink()
    for mode in Mode:
        assert own_client.get("/api/papers/search", params={"q": "x", "mode": mode}).headers["search-mode"] == "keyword"


# --- wrong questions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/daily_papers?date=2026-02-30", "date must be a day of the calendar as YYYY-MM-DD, such as"),
        ("/api/daily_papers?date=1700000000", "got '1700000000'"),
        ("/api/daily_papers?week=2025-W53", "week must be an ISO week"),
        ("/api/daily_papers?month=2025-13", "month must be a month"),
        ("/api/daily_papers?date=2026-02-11&month=2026-02", "at most one of date, week and month, got date and month"),
        ("/api/daily_papers?limit=101", "limit: input should be less than or equal to 100, got '101'"),
        ("/api/daily_papers?limit=0", "limit: "),
        ("/api/daily_papers?p=-1", "p: "),
        ("/api/daily_papers?p=99999999999999999999999", "p: "),
        ("/api/daily_papers?limit=many", "got 'many'"),
        ("/api/daily_papers?sort=votes", "'publishedAt' or 'trending'"),
        ("/api/papers/search?first=yesterday", "first must be a day of the calendar"),
        ("/api/papers/search?shelf=books", "shelf: "),
        ("/api/papers/search?verdict=true", "verdict: "),
        ("/api/papers/search?has_code=perhaps", "has_code: "),
        ("/api/claims?verdict=x", "verdict: "),
        ("/feed.atom?date=tomorrow", "date must be a day"),
        ("/feed.json?date=2026-02-11&week=2026-W07", "give at most one of date, week and month"),
    ],
)
def test_a_wrong_parameter_is_told_in_one_sentence(client: TestClient, path: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
