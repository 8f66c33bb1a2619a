"""Every route of the site a new user sees: the papers with a card, and the published results."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cenote.catalog import load_cards
from cenote.catalog.results import RESULTS

from .pages import check_page, links, text_of

CARDS = load_cards()
MEASURED = next(card for card in CARDS if (RESULTS / card.slug).is_dir())
LISTED = next(card for card in CARDS if not card.runs)


def newest_result() -> dict:
    index = json.loads((RESULTS / MEASURED.slug / "index.json").read_text())
    return json.loads((RESULTS / MEASURED.slug / f"{index['runs'][-1]['run_id']}.json").read_text())


PAGES = [
    "/",
    "/papers/trending",
    "/papers/date/2020-01-01",
    "/papers/week/2020-W53",
    "/papers/month/2020-02",
    "/search",
    "/search?q=pooling",
    "/search?q=nothing+like+this+zzz",
    "/search?q=pooling&shelf=pooling&first=2020-01-01&has_code=1&mode=keyword",
    "/methods",
    "/methods?shelf=tracking",
    "/methods?verdict=holds&data=cifar10",
    "/methods?shelf=tracking&verdict=holds",
    "/claims",
    "/claims?verdict=fails",
    "/claims?verdict=designed",
    "/api",
    *(f"/papers/{card.arxiv}" for card in CARDS),
    f"/papers/{MEASURED.arxiv}/history",
    f"/papers/{LISTED.arxiv}/history",
]


@pytest.mark.parametrize("address", PAGES)
def test_every_page_is_sound(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    check_page(answer.text)


@pytest.mark.parametrize("address", ["/", "/methods", "/healthz", f"/papers/{MEASURED.arxiv}", "/robots.txt"])
def test_head_answers_as_get_does(client: TestClient, address: str) -> None:
    head = client.head(address)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == client.get(address).headers["content-type"]


def test_the_first_start_shows_all_papers(client: TestClient) -> None:
    page = check_page(client.get("/").text)
    shown = {address for address in links(page) if re.fullmatch(r"/papers/\d{4}\.\d{4,5}", address)}
    assert shown == {f"/papers/{card.arxiv}" for card in CARDS}
    assert len(client.get("/").content) < 60_000


def test_internal_links_lead_somewhere(client: TestClient) -> None:
    """All of them from the pages of each kind, but those that other parts of the site answer."""
    found: set[str] = set()
    for address in ("/", "/papers/trending", "/methods", "/claims", "/search", f"/papers/{MEASURED.arxiv}"):
        page = check_page(client.get(address).text)
        found |= {each.partition("#")[0] for each in links(page) if each.startswith("/")}
    found -= {"/feed.atom", "/feed.json", "/openapi.json"}
    wrong = {address: answer.status_code for address in found if (answer := client.get(address)).status_code != 200}
    assert len(found) > 60
    assert not wrong


# --- a paper ------------------------------------------------------------------------------------------------------


def test_a_measured_paper_shows_its_evidence(client: TestClient) -> None:
    html = client.get(f"/papers/{MEASURED.arxiv}").text
    page = check_page(html)
    text = text_of(page)
    result = newest_result()
    for claim in MEASURED.claims:
        assert " ".join(claim.sentence.split()) in text
        assert page.find(f".//*[@id='claim-{claim.id}']") is not None
    for verdict in result["verdicts"]:
        place = page.find(f".//*[@id='claim-{verdict['claim']}-{verdict['data']}']")
        assert place is not None
        assert verdict["word"] in text_of(place)
        assert verdict["reason"] in text_of(place)
        dots = list(place.iter("{http://www.w3.org/2000/svg}circle"))
        claim = MEASURED.claim(verdict["claim"])
        drawn = claim.kind not in ("equal", "bound")
        assert len(dots) == (sum(len(each["differences"]) for each in verdict["comparisons"]) if drawn else 0)
    for finding in MEASURED.findings:
        assert " ".join(finding.sentence.split()) in text
    for difference in result["differs"]:
        assert difference in text
    assert f"cenote run {MEASURED.slug}" in text
    assert "PosetPool2d" in text
    assert [each["alt"] for each in result["figures"]] == [each.get("alt") for each in page.iter("img")]


def test_figures_are_served_as_what_they_are(client: TestClient) -> None:
    result = newest_result()
    for name, checksum in result["figure_checksums"].items():
        answer = client.get(f"/papers/{MEASURED.arxiv}/results/{result['run_id']}/{name}")
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == checksum
        assert answer.headers["content-type"] == "image/png"
        assert "immutable" in answer.headers["cache-control"]
        again = client.get(str(answer.url), headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code in (200, 304)


def test_a_result_is_there_with_every_number(client: TestClient) -> None:
    result = newest_result()
    assert client.get(f"/papers/{MEASURED.arxiv}/results/{result['run_id']}.json").json() == result


@pytest.mark.parametrize("name", ["..%2Findex.json", "index.json", "%2e%2e/x.png", "nothing.png", "card.toml"])
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/papers/{MEASURED.arxiv}/results/{newest_result()['run_id']}/{name}").status_code == 404


def test_a_listed_paper_says_so(client: TestClient) -> None:
    text = text_of(check_page(client.get(f"/papers/{LISTED.arxiv}").text))
    assert "The paper is listed: its method is not here yet" in text
    assert "cenote run" not in text


def test_history_has_every_published_result(client: TestClient) -> None:
    page = check_page(client.get(f"/papers/{MEASURED.arxiv}/history").text)
    runs = [each["run_id"] for each in json.loads((RESULTS / MEASURED.slug / "index.json").read_text())["runs"]]
    ids = [each.get("id") for each in page.iter("section") if each.get("id")]
    assert ids == [f"run-{run}" for run in reversed(runs)]


def test_other_names_of_a_paper_lead_to_its_page(client: TestClient) -> None:
    place = f"/papers/{MEASURED.arxiv}"
    for name in (MEASURED.slug, f"{MEASURED.arxiv}v2", f"arXiv:{MEASURED.arxiv}"):
        answer = client.get(f"/papers/{name}")
        assert (answer.status_code, answer.headers["location"]) == (308, place)
    assert client.get(f"/papers/{MEASURED.slug}.md").headers["location"] == f"{place}.md"
    assert client.get(f"/papers/{MEASURED.slug}.bib").headers["location"] == f"{place}.bib"


def test_markdown_and_bibtex(client: TestClient) -> None:
    answer = client.get(f"/papers/{MEASURED.arxiv}.md")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith(f"# {MEASURED.title}\n")
    for claim in MEASURED.claims:
        assert f"### {claim.sentence}" in answer.text
        assert f", in {claim.metric.replace('_', ' ')}" in answer.text
    assert answer.text.count("\nClaimed: ") == len(MEASURED.claims)
    numbers = f"/papers/{MEASURED.arxiv}/results/{newest_result()['run_id']}.json"
    assert f"{numbers}>" in answer.text
    assert client.get(numbers).status_code == 200
    assert answer.text.count("**✗ fails**") == sum(each["word"] == "fails" for each in newest_result()["verdicts"])
    entry = client.get(f"/papers/{MEASURED.arxiv}.bib")
    assert entry.headers["content-type"].startswith("application/x-bibtex")
    assert f"eprint = {{{MEASURED.arxiv}}}" in entry.text
    assert "author" not in entry.text  # the card knows how many there are, not who


# --- lists --------------------------------------------------------------------------------------------------------


def test_methods_have_eight_shelves_and_filters(client: TestClient) -> None:
    page = check_page(client.get("/methods").text)
    assert len(list(page.iter("section"))) == 8
    assert {f"/papers/{card.arxiv}" for card in CARDS} <= set(links(page))
    text = text_of(check_page(client.get("/methods?verdict=fails").text))
    assert MEASURED.title in text
    assert LISTED.title not in text
    assert "No paper passes these filters" in client.get("/methods?shelf=tracking&verdict=holds").text
    assert f"{len(CARDS)} of {len(CARDS)}" in client.get("/methods?verdict=<script>&data=x").text


def test_claims_are_all_there_with_links_to_their_evidence(client: TestClient) -> None:
    page = check_page(client.get("/claims").text)
    verdicts = newest_result()["verdicts"]
    expected = {f"/papers/{MEASURED.arxiv}#claim-{each['claim']}-{each['data']}" for each in verdicts}
    assert {address for address in links(page) if "#claim-" in address} >= expected
    paper = check_page(client.get(f"/papers/{MEASURED.arxiv}").text)
    anchors = {each.get("id") for each in paper.iter()}
    assert {address.partition("#")[2] for address in expected} <= anchors
    fails = check_page(client.get("/claims?verdict=fails").text)
    rows = [row for row in fails.iter("tr") if any(MEASURED.arxiv in address for address in links(row))]
    assert len(rows) == sum(each["word"] == "fails" for each in verdicts)


# --- for machines -------------------------------------------------------------------------------------------------


def test_health_and_robots(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert "Disallow: /search" in client.get("/robots.txt").text.splitlines()


def test_static_files_may_be_kept_for_ever(client: TestClient) -> None:
    html = client.get("/").text
    found = set(re.findall(r"/static/[0-9a-f]{12}/[\w.-]+", html))
    assert {Path(each).suffix for each in found} == {".css", ".js", ".svg", ".woff2"}
    for address in found:
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        again = client.get(address, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    css = next(each for each in found if each.endswith(".css"))
    beside = re.findall(r'url\("([^"]+)"\)', client.get(css).text)
    assert beside
    for name in beside:
        assert client.get(f"{css.rpartition('/')[0]}/{name}").status_code == 200
    assert client.get("/static/000000000000/cenote.css").status_code == 404
    assert client.get(f"{css.rpartition('/')[0]}/..%2f..%2frendering.py").status_code == 404


@pytest.mark.parametrize("address", ["/", "/nothing", "/healthz", "/openapi.json", "/papers/2412.06097.md"])
def test_security_headers_are_everywhere(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_pages_are_compressed(client: TestClient) -> None:
    answer = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 20_000


def test_today_without_papers_points_to_those_there_are(client: TestClient) -> None:
    day = dt.date(2020, 1, 1)
    page = check_page(client.get(f"/papers/date/{day}").text)
    assert "No papers on this day" in text_of(page)
    assert "/" in links(page)
