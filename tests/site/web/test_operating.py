"""The operators' page, which nobody else can see or use."""

from __future__ import annotations

import datetime as dt

import pytest

from cenote.site.papers import Paper
from cenote.site.readers.sign_in import is_blocked
from cenote.site.store.reader_tables import blocks, operator_actions
from cenote.site.store.saving import save_papers

from ..visiting import ADA, OPERATOR, PAPER, QUIET, Visited
from .pages import check_page, links, text_of

URL = f"/papers/{PAPER.id}"
FORMS = {
    "/operate/comments/1/hide": {},
    "/operate/comments/1/show": {},
    "/operate/block": {"address": ADA},
    "/operate/unblock": {"address": ADA},
    "/operate/feature": {"paper": PAPER.id, "day": "2026-11-27"},
    "/operate/unfeature": {"paper": PAPER.id},
}


def test_for_others_it_is_not_there(visited_lite: Visited) -> None:
    reader, stranger = visited_lite.reader(), visited_lite.browser()
    reader.post(f"{URL}/comments", text="mine")
    for browser in (reader, stranger):
        assert browser.get("/operate").status_code == 404
        for address, fields in FORMS.items():
            assert browser.post(address, **fields).status_code == 404, address
    assert visited_lite.paper().reader_comments == 1
    assert visited_lite.paper().day == PAPER.day
    assert visited_lite.count(blocks) == visited_lite.count(operator_actions) == 0


def test_who_is_no_operator_any_more_is_none(visited_lite: Visited) -> None:
    browser = visited_lite.reader(OPERATOR)
    assert browser.get("/operate").status_code == 200
    object.__setattr__(visited_lite.site.settings, "operators", "")
    assert browser.get("/operate").status_code == 404


def test_comments_are_hidden_and_shown(visited: Visited) -> None:
    visited.reader().post(f"{URL}/comments", text="Buy <b>ponds</b>!")
    olga = visited.reader(OPERATOR)
    page = check_page(olga.get("/operate").text)
    assert "Buy <b>ponds</b>!" in text_of(page)
    assert ADA in text_of(page)
    assert olga.post("/operate/comments/1/hide").headers["location"] == "/operate#comments"
    assert "ponds" not in text_of(check_page(olga.get(URL).text)).partition("Comments")[2].partition("Write")[0]
    assert visited.browser().get("/comments/1").status_code == 404
    page = check_page(olga.get("/operate").text)
    assert "hidden since" in text_of(page)
    cells = [text_of(each) for each in page.iter("td")]
    assert cells[1:] == [OPERATOR, "hide comment 1"]
    assert cells[0].startswith(str(dt.datetime.now(dt.UTC).year))
    olga.post("/operate/comments/1/show")
    assert visited.browser().get("/comments/1").status_code == 303


def test_a_block_ends_sessions_and_hides_comments(visited: Visited) -> None:
    ada = visited.reader()
    ada.post(f"{URL}/comments", text="Buy ponds!")
    olga = visited.reader(OPERATOR)
    answer = olga.post("/operate/block", address=f" {ADA.upper()}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/operate#blocks")
    assert ada.get("/account").status_code == 303
    assert visited.paper().reader_comments == 0
    assert ADA in text_of(check_page(olga.get("/operate").text))
    olga.post("/operate/unblock", address=ADA)
    with visited.database.read() as connection:
        assert not is_blocked(connection, ADA)
    ada.sign_in()


def test_an_operator_cannot_be_blocked_and_nor_can_what_is_no_address(visited_lite: Visited) -> None:
    olga = visited_lite.reader(OPERATOR)
    for written, said in [(OPERATOR.upper(), "must not be an operator's"), ("x", "must be an e-mail address")]:
        answer = olga.post("/operate/block", address=written)
        assert answer.status_code == 422
        assert said in text_of(check_page(answer.text))
    assert olga.post("/operate/unblock", address="\x00").status_code == 422
    assert visited_lite.count(blocks) == 0


def test_a_paper_is_featured_on_a_day(visited: Visited) -> None:
    olga = visited.reader(OPERATOR)
    answer = olga.post("/operate/feature", paper=f"https://arxiv.org/abs/{QUIET.id}", day="2026-11-25")
    assert (answer.status_code, answer.headers["location"]) == (303, "/operate#feature")
    assert visited.paper(QUIET).day == dt.date(2026, 11, 25)
    assert f"/papers/{QUIET.id}" in links(check_page(olga.get("/papers/date/2026-11-25").text))


@pytest.mark.parametrize(
    ("paper", "day", "said"),
    [
        ("2611.99999", "2026-11-25", "paper must be one of this feed, got 2611.99999"),
        ("x", "2026-11-25", "paper id must be an arXiv identifier"),
        (PAPER.id, "", "day must be one such as 2026-11-23"),
        (PAPER.id, "2026-02-30", "day must be one such as 2026-11-23"),
        (PAPER.id, "<script>", "day must be one such as 2026-11-23"),
        (PAPER.id, "20261125", "day must be one such as 2026-11-23"),
        (PAPER.id, "2026-W48-3", "day must be one such as 2026-11-23"),
        (PAPER.id, "0001-01-01", "day must be from 1991-08-14 to "),
        (PAPER.id, "9999-12-31", "day must be from 1991-08-14 to "),
    ],
)
def test_what_cannot_be_featured_is_said(visited_lite: Visited, paper: str, day: str, said: str) -> None:
    answer = visited_lite.reader(OPERATOR).post("/operate/feature", paper=paper, day=day)
    assert answer.status_code == 422
    page = check_page(answer.text)
    assert said in text_of(page)
    field = page.find(".//input[@id='paper']")
    assert field is not None
    assert (field.get("value"), field.get("aria-describedby")) == (paper, "problem")
    assert visited_lite.count(operator_actions) == 0


def test_a_paper_is_featured_no_more(visited: Visited) -> None:
    olga = visited.reader(OPERATOR)
    dated = Paper(id="2611.00003", title="Dated", published=dt.datetime(2026, 11, 3, tzinfo=dt.UTC))
    with visited.database.write() as connection:
        save_papers(connection, [dated])
    page = check_page(olga.get("/operate").text)
    assert [each.get("formaction") for each in page.iter("button") if each.get("formaction")] == ["/operate/unfeature"]
    olga.post("/operate/feature", paper=dated.id, day="2026-11-25")
    assert visited.paper(dated).day == dt.date(2026, 11, 25)
    answer = olga.post("/operate/unfeature", paper=dated.id, day="")
    assert (answer.status_code, answer.headers["location"]) == (303, "/operate#feature")
    assert visited.paper(dated).day == dt.date(2026, 11, 3)
    for paper, said in [
        (PAPER.id, "paper must have a day of its own"),
        ("2611.99999", "paper must be one of this feed"),
        ("x", "paper id must be an arXiv identifier"),
    ]:
        answer = olga.post("/operate/unfeature", paper=paper)
        assert answer.status_code == 422
        assert said in text_of(check_page(answer.text))


def test_many_comments_have_pages(visited_lite: Visited, monkeypatch: pytest.MonkeyPatch) -> None:
    from cenote.site.web import operating

    monkeypatch.setattr(operating, "PAGE", 2)
    ada, olga = visited_lite.reader(), visited_lite.reader(OPERATOR)
    for number in range(3):
        ada.post(f"{URL}/comments", text=f"number {number}")
    first, second = (check_page(olga.get(f"/operate?page={page}").text) for page in (1, 2))
    assert "/operate?page=2#comments" in links(first)
    assert "/operate?page=1#comments" in links(second)
    assert ("number 0" in text_of(first), "number 0" in text_of(second)) == (False, True)
