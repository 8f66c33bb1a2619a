from __future__ import annotations

import datetime as dt
import email.utils
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from cenote.errors import ArgumentError, SourceError
from cenote.site.reading import ArxivApi, Cursor, Deleted, Good, HubClient, Manners, OaiClient, PoliteClient

TODAY = dt.date(2026, 2, 11)


def ids(items: Iterable[object]) -> list[str]:
    return [item.paper.id for item in items if isinstance(item, Good)]


def cursors(items: Iterable[object]) -> list[Cursor]:
    return [item for item in items if isinstance(item, Cursor)]


def atom(numbers: Iterable[int], total: int, day: str = "2026-02-10") -> bytes:
    entries = "".join(
        f"<entry><id>http://arxiv.org/abs/2602.{number:05}v1</id><title>A</title>"
        f"<published>{day}T00:00:00Z</published></entry>"
        for number in numbers
    )
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/">'
        f"<o:totalResults>{total}</o:totalResults>{entries}</feed>"
    ).encode()


# --- manners ------------------------------------------------------------------------------------------------------


def read(client: PoliteClient, address: str) -> bytes:
    return client.ask(address, {"q": "a b&c"}, lambda stream: stream.read())


def test_one_question_every_three_seconds(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(b"ponds"))
    assert [read(client, server.address) for _ in range(3)] == [b"ponds"] * 3
    assert clock.sleeps == [3.0, 3.0]
    assert server.questions[0].query == {"q": "a b&c"}
    clock.now += 2.0
    read(client, server.address)
    assert clock.sleeps == [3.0, 3.0, 1.0]
    clock.now += 60.0
    read(client, server.address)
    assert clock.sleeps == [3.0, 3.0, 1.0]


def test_retry_after_is_honoured(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(status=429, headers={"Retry-After": "17"}), answer(b"ponds"))
    assert read(client, server.address) == b"ponds"
    assert clock.sleeps == [17.0]


def test_retry_after_as_a_date(server, answer, client: PoliteClient, clock) -> None:
    date = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=40), usegmt=True)
    server.answer(answer(status=503, headers={"Retry-After": date}), answer(b"ponds"))
    assert read(client, server.address) == b"ponds"
    [wait] = clock.sleeps
    assert 20 < wait <= 40


def test_waiting_no_time_is_still_one_question_every_three_seconds(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(status=503, headers={"Retry-After": "0"}), answer(b"ponds"))
    assert read(client, server.address) == b"ponds"
    assert sum(clock.sleeps) == 3.0


def test_a_server_that_asks_for_too_much_is_left_alone(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(status=503, headers={"Retry-After": "86400"}))
    with pytest.raises(SourceError, match="asks to wait for 86,400 s"):
        read(client, server.address)
    assert len(server.questions) == 1
    assert clock.sleeps == []


def test_waits_double_and_end(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(status=503))
    with pytest.raises(SourceError, match="answers 503 Service Unavailable; asked 4 times"):
        read(client, server.address)
    assert len(server.questions) == 4
    assert clock.sleeps == [5.0, 10.0, 20.0]


def test_a_no_is_a_no(server, answer, client: PoliteClient) -> None:
    server.answer(answer(status=403))
    with pytest.raises(SourceError, match="403"):
        read(client, server.address)
    assert len(server.questions) == 1


def test_an_answer_that_breaks_off_is_asked_for_again(server, answer, client: PoliteClient) -> None:
    server.answer(answer(b"pon", length=5), answer(b"ponds"))
    assert read(client, server.address) == b"ponds"
    assert len(server.questions) == 2


@pytest.mark.parametrize("settings", [{"pause": -1.0}, {"attempts": 0}, {"first_wait": -1.0}, {"longest_wait": -1.0}])
def test_manners_that_are_none(settings: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match="must not be negative, attempts at least 1"):
        Manners(**settings)  # type: ignore[arg-type]


# --- the API of arXiv -----------------------------------------------------------------------------------------------


class Papers:
    """A server with so many papers, one a minute, that gives at most so many of a query."""

    def __init__(self, answer, count: int, page: int) -> None:
        self.answer, self.count, self.page = answer, count, page

    def __call__(self, question):
        start, size = int(question.query["start"]), int(question.query["max_results"])
        assert size == self.page
        return self.answer(atom(range(start, min(start + size, self.count)), self.count))


def arxiv(client: PoliteClient, server, **options: int) -> ArxivApi:
    return ArxivApi(client, f"{server.address}/api/query", today=lambda: TODAY, **options)


def test_pages_until_the_end(server, answer, client: PoliteClient, clock) -> None:
    server.reply = Papers(answer, 7, 3)
    items = list(arxiv(client, server, page_size=3).new_since(dt.date(2026, 2, 9), ["cs.LG", "stat.*"]))
    assert ids(items) == [f"2602.{number:05}" for number in range(7)]
    assert cursors(items) == [Cursor(dt.date(2026, 2, 10))] * 3
    assert items[-1] == cursors(items)[-1]
    assert clock.sleeps == [3.0, 3.0]
    question = server.questions[0]
    assert question.path == "/api/query"
    assert question.query == {
        "search_query": "(cat:cs.LG OR cat:stat.*) AND submittedDate:[202602020000 TO 202602122359]",
        "start": "0",
        "max_results": "3",
        "sortBy": "submittedDate",
        "sortOrder": "ascending",
    }
    assert [question.query["start"] for question in server.questions] == ["0", "3", "6"]


def test_nothing_new(server, answer, client: PoliteClient) -> None:
    server.answer(answer(atom([], 0)))
    assert list(arxiv(client, server).new_since(TODAY)) == [Cursor(TODAY)]
    assert server.questions[0].query["search_query"] == "submittedDate:[202602040000 TO 202602122359]"


def test_an_empty_page_is_asked_for_again(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(atom([], 2)), answer(atom([], 2)), answer(atom([1, 2], 2)))
    assert ids(arxiv(client, server).new_since(TODAY)) == ["2602.00001", "2602.00002"]
    assert clock.sleeps == [5.0, 10.0]


def test_a_page_that_stays_empty_is_an_error_after_what_there_was(server, answer, client: PoliteClient) -> None:
    server.reply = lambda question: answer(atom([1, 2] if question.query["start"] == "0" else [], 4))
    items: list[object] = []
    with pytest.raises(SourceError, match="gives 0 of the 2 papers that it says stand from 2 on; asked 4 times"):
        collect(arxiv(client, server, page_size=2).new_since(TODAY), items)
    assert ids(items) == ["2602.00001", "2602.00002"]
    assert cursors(items) == [Cursor(TODAY)]


def collect(source: Iterable[object], items: list[object]) -> None:
    for item in source:
        items.append(item)  # noqa: PERF402 - extend would lose what came before the error


def test_a_page_that_stays_short_is_used(server, answer, client: PoliteClient) -> None:
    answers = {"0": [1, 2, 3], "3": [4, 5], "5": []}
    server.reply = lambda question: answer(
        atom(answers[question.query["start"]], 5 if question.query["start"] == "3" else 6)
    )
    items = list(arxiv(client, server, page_size=3).new_since(TODAY))
    assert ids(items) == [f"2602.0000{number}" for number in range(1, 6)]


def test_a_feed_that_breaks_off_is_asked_for_again(server, answer, client: PoliteClient) -> None:
    whole = atom([1, 2], 2)
    server.answer(answer(whole[:-30]), answer(b"<html>busy</html>"), answer(whole))
    assert ids(arxiv(client, server).new_since(TODAY)) == ["2602.00001", "2602.00002"]


def test_a_wrong_question_is_not_asked_again(server, answer, client: PoliteClient) -> None:
    entry = "<entry><id>http://arxiv.org/api/errors#x</id><title>E</title><summary>no such field</summary></entry>"
    server.answer(answer(f'<feed xmlns="http://www.w3.org/2005/Atom">{entry}</feed>'.encode()))
    with pytest.raises(SourceError, match="arXiv answers: no such field"):
        list(arxiv(client, server).new_since(TODAY))
    assert len(server.questions) == 1


def test_beyond_the_last_result_a_new_query_begins(
    server, answer, client: PoliteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cenote.site.reading.clients._LAST_RESULT", 4)
    days = ["2026-02-08", "2026-02-08", "2026-02-09", "2026-02-09", "2026-02-10", "2026-02-11"]

    def reply(question):
        since = question.query["search_query"][len("submittedDate:[") :][:8]
        left = [number for number, day in enumerate(days) if day.replace("-", "") >= since]
        start = int(question.query["start"])
        page = left[start : start + 2]
        return answer(atom(page, len(left), days[page[-1]]))

    server.reply = reply
    items = list(arxiv(client, server, page_size=2, overlap=0).new_since(dt.date(2026, 2, 8)))
    assert sorted(set(ids(items))) == [f"2602.{number:05}" for number in range(6)]
    assert cursors(items)[-1] == Cursor(TODAY)


def test_a_day_with_too_many_papers_does_not_go_round_for_ever(
    server, answer, client: PoliteClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cenote.site.reading.clients._LAST_RESULT", 4)
    server.reply = Papers(answer, 1_000_000, 2)
    with pytest.raises(SourceError, match="no more than 4 papers of one query, and 2026-02-10 has more"):
        list(arxiv(client, server, page_size=2).new_since(dt.date(2026, 2, 10)))
    assert len(server.questions) < 10


@pytest.mark.parametrize("category", ["", "cs.LG OR all:x", "cs LG", "cs.LG)", "CS"])
def test_categories_are_codes(category: str, server, client: PoliteClient) -> None:
    with pytest.raises(ArgumentError, match=r"categories must be codes such as cs\.LG"):
        list(arxiv(client, server).new_since(TODAY, [category]))
    assert server.questions == []


@pytest.mark.parametrize("options", [{"page_size": 0}, {"page_size": 2_001}, {"overlap": -1}])
def test_settings_of_the_api(options: dict[str, int], server, client: PoliteClient) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        arxiv(client, server, **options)


# --- OAI-PMH --------------------------------------------------------------------------------------------------------


def oai(content: str) -> bytes:
    return (
        '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>2026-02-11T06:00:00Z</responseDate>'
        f"{content}</OAI-PMH>"
    ).encode()


def deleted(number: int, token: str = "") -> bytes:
    return oai(
        '<ListRecords><record><header status="deleted">'
        f"<identifier>oai:arXiv.org:2602.{number:05}</identifier></header></record><resumptionToken>{token}</resumptionToken></ListRecords>"
    )


BAD_TOKEN = oai('<error code="badResumptionToken">expired</error>')


def test_a_list_is_followed_to_its_end(server, answer, client: PoliteClient, data: Path, clock) -> None:
    server.answer(answer((data / "oai_arxiv.xml").read_bytes()), answer((data / "oai_raw.xml").read_bytes()))
    items = list(OaiClient(client, f"{server.address}/oai").list_records(dt.date(2026, 2, 10), "cs"))
    assert ids(items) == ["2602.00001", "0704.0001"]
    assert [item.id for item in items if isinstance(item, Deleted)] == ["hep-th/9901001"]
    assert cursors(items) == [Cursor(dt.date(2026, 2, 10), "token-1|1001", TODAY), Cursor(TODAY)]
    assert [question.query for question in server.questions] == [
        {"verb": "ListRecords", "metadataPrefix": "arXiv", "from": "2026-02-10", "set": "cs"},
        {"verb": "ListRecords", "resumptionToken": "token-1|1001"},
    ]
    assert clock.sleeps == [3.0]


def test_a_list_goes_on_at_a_cursor(server, answer, client: PoliteClient) -> None:
    server.answer(answer(deleted(2)))
    begun = dt.date(2026, 2, 1)
    items = list(OaiClient(client, server.address).list_records(Cursor(dt.date(2026, 1, 1), "there", begun)))
    assert items == [Deleted("2602.00002", 1), Cursor(begun)]
    assert server.questions[0].query == {"verb": "ListRecords", "resumptionToken": "there"}


def test_a_list_that_was_forgotten_begins_anew(server, answer, client: PoliteClient) -> None:
    server.answer(answer(BAD_TOKEN), answer(deleted(1)))
    items = list(
        OaiClient(client, server.address).list_records(Cursor(dt.date(2026, 2, 9), "old", dt.date(2026, 2, 10)))
    )
    assert items == [Deleted("2602.00001", 1), Cursor(TODAY)]
    assert server.questions[1].query["from"] == "2026-02-09"


def test_but_only_once(server, answer, client: PoliteClient) -> None:
    server.reply = lambda question: answer(BAD_TOKEN if "resumptionToken" in question.query else deleted(1, "next"))
    with pytest.raises(SourceError, match="badResumptionToken: expired"):
        list(OaiClient(client, server.address).list_records(Cursor(TODAY, "old")))
    assert len(server.questions) == 3


def test_nothing_has_changed(server, answer, client: PoliteClient) -> None:
    server.answer(answer(oai('<error code="noRecordsMatch"/>')))
    assert list(OaiClient(client, server.address).list_records(dt.date(2026, 2, 10))) == [Cursor(TODAY)]


def test_a_busy_server_is_waited_for(server, answer, client: PoliteClient, clock) -> None:
    server.answer(answer(status=503, headers={"Retry-After": "10"}), answer(deleted(1)[:-9]), answer(deleted(1)))
    items = list(OaiClient(client, server.address).list_records())
    assert items == [Deleted("2602.00001", 1), Cursor(TODAY)]
    assert server.questions[-1].query == {"verb": "ListRecords", "metadataPrefix": "arXiv"}
    assert clock.sleeps == [10.0, 10.0]


def test_a_token_that_leads_to_itself_ends(server, answer, client: PoliteClient) -> None:
    server.answer(answer(deleted(1, "same")))
    with pytest.raises(SourceError, match="the list does not go on at 'same'"):
        list(OaiClient(client, server.address).list_records())
    assert len(server.questions) == 2


def test_tokens_that_lead_to_nothing_end(server, answer, client: PoliteClient) -> None:
    def reply(question):
        token = f"token-{len(server.questions)}"
        return answer(oai(f"<ListRecords><resumptionToken>{token}</resumptionToken></ListRecords>"))

    server.reply = reply
    with pytest.raises(SourceError, match="the list does not go on at"):
        list(OaiClient(client, server.address).list_records())
    assert len(server.questions) == 5


# --- the hub --------------------------------------------------------------------------------------------------------


def daily(*numbers: int) -> bytes:
    items = [
        {"paper": {"id": f"2602.{number:05}", "title": "A"}, "publishedAt": "2020-01-01T00:00:00Z"}
        for number in numbers
    ]
    return json.dumps(items).encode()


def hub(client: PoliteClient, server, **options: int) -> HubClient:
    return HubClient(client, server.address + "/", today=lambda: TODAY, **options)


def test_day_by_day_with_empty_weekends(server, answer, client: PoliteClient) -> None:
    days = {"2026-02-06": [1, 2], "2026-02-09": [3], "2026-02-11": [4]}
    server.reply = lambda question: answer(daily(*days.get(question.query["date"], [])))
    items = list(hub(client, server, overlap=0).daily_papers(dt.date(2026, 2, 6)))
    assert ids(items) == ["2602.00001", "2602.00002", "2602.00003", "2602.00004"]
    featured = [str(item.paper.featured) for item in items if isinstance(item, Good)]
    assert featured == ["2026-02-06", "2026-02-06", "2026-02-09", "2026-02-11"]
    assert cursors(items) == [Cursor(dt.date(2026, 2, day)) for day in range(6, 12)]
    assert {question.path for question in server.questions} == {"/api/daily_papers"}
    assert server.questions[0].query == {"date": "2026-02-06", "p": "0", "limit": "100"}


def test_days_before_are_asked_for_again_but_the_cursor_never_goes_back(server, answer, client: PoliteClient) -> None:
    server.answer(answer(b"[]"))
    items = list(hub(client, server, overlap=2).daily_papers(TODAY))
    assert [question.query["date"] for question in server.questions] == ["2026-02-09", "2026-02-10", "2026-02-11"]
    assert items == [Cursor(TODAY)] * 3


def test_a_cursor_of_tomorrow_does_no_harm(server, answer, client: PoliteClient) -> None:
    server.answer(answer(b"[]"))
    assert list(hub(client, server, overlap=0).daily_papers(dt.date(2026, 3, 1))) == [Cursor(TODAY)]


def test_pages_of_a_day(server, answer, client: PoliteClient) -> None:
    pages = {"0": [1, 2], "1": [3, 4], "2": [5]}
    server.reply = lambda question: answer(daily(*pages[question.query["p"]]))
    assert ids(hub(client, server, page_size=2, overlap=0).daily_papers(TODAY)) == [
        f"2602.0000{n}" for n in range(1, 6)
    ]


def test_a_hub_that_gives_one_page_again_and_again(server, answer, client: PoliteClient) -> None:
    server.answer(answer(daily(1, 2)))
    assert ids(hub(client, server, page_size=2, overlap=0).daily_papers(TODAY)) == ["2602.00001", "2602.00002"]
    assert len(server.questions) == 2


def test_a_hub_without_end(server, answer, client: PoliteClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cenote.site.reading.clients._HUB_PAGES", 5)
    server.reply = lambda question: answer(daily(int(question.query["p"])))
    with pytest.raises(SourceError, match="2026-02-11 has more than 5 pages"):
        list(hub(client, server, page_size=1, overlap=0).daily_papers(TODAY))


def test_a_hub_that_garbles_an_item_is_asked_again(server, answer, client: PoliteClient) -> None:
    server.answer(answer(daily(1, 2).replace(b'"A"', b"A", 1)), answer(daily(1, 2)))
    assert ids(hub(client, server, overlap=0).daily_papers(TODAY)) == ["2602.00001", "2602.00002"]
    assert len(server.questions) == 2


def test_a_hub_that_is_not_well(server, answer, client: PoliteClient) -> None:
    server.answer(answer(status=500), answer(b'{"error": "busy"}'), answer(daily(1)[:-5]), answer(daily(1)))
    assert ids(hub(client, server, overlap=0).daily_papers(TODAY)) == ["2602.00001"]
