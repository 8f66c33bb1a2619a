"""Votes and comments on the pages: with and without JavaScript, signed in and not."""

from __future__ import annotations

import re
import time

import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import event

from cenote.site.guarding.visitors import FORM_LASTS
from cenote.site.store.reader_tables import comments, votes
from cenote.site.web import talk

from ..visiting import ADA, OPERATOR, PAPER, QUIET, Browser, Visited, token_in
from .pages import check_page, links, text_of

URL = f"/papers/{PAPER.id}"
BUTTON = re.compile(r'<button type="submit" aria-pressed="(\w+)">.*?<span data-votes>([\d,]+)</span>')


def button(browser: Browser, page: str = URL) -> tuple[str, str]:
    """Whether the first vote's button is pressed, and its number."""
    html = browser.get(page).text
    check_page(html)
    found = BUTTON.search(html)
    assert found
    return found[1], found[2]


def test_a_vote_without_javascript(visited: Visited) -> None:
    browser = visited.reader()
    assert button(browser) == ("false", "41")
    for want, shown in [("1", ("true", "42")), ("1", ("true", "42")), ("0", ("false", "41")), ("0", ("false", "41"))]:
        answer = browser.post(f"{URL}/vote", shown_on=URL, want=want, next=f"{URL}?page=1")
        number = visited.paper().number
        assert (answer.status_code, answer.headers["location"]) == (303, f"{URL}?page=1#paper-{number}")
        assert button(browser) == shown


def test_a_vote_with_javascript(visited: Visited) -> None:
    browser = visited.reader()
    for want, said in [("1", {"voted": True, "votes": 42}), ("0", {"voted": False, "votes": 41})]:
        answer = browser.post(f"{URL}/vote", want=want, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()) == (200, said)
        assert answer.headers["cache-control"] == "no-store"
    answer = browser.post(f"/papers/{QUIET.id}/vote", want="1", headers={"Accept": "application/json"})
    assert answer.json() == {"voted": True, "votes": 1}


def test_the_number_is_the_same_wherever_it_is_shown(visited: Visited) -> None:
    for number in range(3):
        visited.reader(f"r{number}@example.org").post(f"/papers/{QUIET.id}/vote", want="1")
    visited.reader().post(f"{URL}/vote", want="1")
    stranger = visited.browser()
    for address in ("/", "/papers/trending", "/search?q=x", URL):
        text = text_of(check_page(stranger.get(address).text))
        assert "42 votes" in text
        assert "3 votes" in text or address == URL
    assert [each["paper"]["upvotes"] for each in stranger.get("/api/daily_papers?date=2026-11-20").json()] == [42, 3]
    assert stranger.get(f"/api/papers/{PAPER.id}").json()["upvotes"] == 42
    assert "- votes: 42\n" in stranger.get(f"{URL}.md").text
    assert "votes" not in stranger.get("/feed.json").text


def test_every_list_has_buttons_and_one_question_asks_for_all(visited: Visited) -> None:
    browser = visited.reader()
    browser.post(f"/papers/{QUIET.id}/vote", want="1")
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "FROM votes" in statement:
            asked.append(statement)

    event.listen(visited.database.engine, "before_cursor_execute", note)
    for address in ("/", "/papers/week/2026-W47", "/papers/trending", "/search?q=x", "/search/results?q=x"):
        asked.clear()
        html = browser.get(address).text
        assert BUTTON.findall(html) == [("false", "41"), ("true", "1")], address
        assert len(asked) == 1
        back = address.replace("/search/results", "/search")
        assert html.count(f'name="next" value="{back}"') == 2
    asked.clear()
    assert not BUTTON.search(visited.browser().get("/").text)
    assert asked == []


def test_strangers_see_where_to_sign_in(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    page = check_page(browser.get(URL).text)
    assert links(page).count(f"/sign-in?next={URL}") == 2  # to vote, and to comment
    for form, fields in [("vote", {"want": "1"}), ("comments", {"text": "Nice."})]:
        answer = browser.post(f"{URL}/{form}", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={URL}")
    assert browser.post("/comments/1/delete").headers["location"] == "/sign-in"
    assert visited_lite.count(votes) == visited_lite.count(comments) == 0


def test_a_comment_is_written_shown_and_deleted(visited: Visited) -> None:
    browser = visited.reader()
    answer = browser.post(f"{URL}/comments", shown_on=URL, text="*Nice*, <b>but</b> [why](https://a.example)?")
    assert (answer.status_code, answer.headers["location"]) == (303, "/comments/1")
    assert browser.get("/comments/1").headers["location"] == f"{URL}#comment-1"
    page = check_page(browser.get(URL).text)
    shown = page.find(".//article[@id='comment-1']")
    assert shown is not None
    assert "Nice, <b>but</b> why?" in text_of(shown)
    assert [each.text for each in shown.iter("em")] == ["Nice"]
    link = next(each for each in shown.iter("a") if each.get("href") == "https://a.example")
    assert link.get("rel") == "nofollow ugc noopener"
    stranger = check_page(visited.browser().get(URL).text)
    assert "3 comments" in text_of(stranger)
    assert not [each for each in stranger.iter("form") if each.get("action", "").endswith("/delete")]
    assert visited.browser().get(f"/api/papers/{PAPER.id}").json()["numComments"] == 3

    other = visited.reader("bob@example.org")
    assert other.post("/comments/1/delete").status_code == 404
    assert browser.post("/comments/1/delete").headers["location"] == f"{URL}#comments"
    assert browser.get("/comments/1").status_code == 404
    assert visited.paper().comments == 2


def test_what_cannot_be_taken_is_not_lost(visited_lite: Visited) -> None:
    browser = visited_lite.reader()
    written = "</textarea><script>alert(1)</script>" + "x" * 5_000
    answer = browser.post(f"{URL}/comments", text=written)
    assert answer.status_code == 422
    page = check_page(answer.text)
    field = page.find(".//textarea")
    assert field is not None
    assert field.text == written
    assert "comment must have 1 to 5,000 characters, got 5,036" in text_of(page)
    assert browser.post(f"{URL}/comments", text=" \n").status_code == 422
    assert visited_lite.count(comments) == 0


def test_a_form_that_is_too_old_gives_back_what_was_written(
    visited_lite: Visited, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = visited_lite.reader()
    lasts = int(FORM_LASTS.total_seconds())
    with monkeypatch.context() as patch:
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: int(time.time()) - lasts - 2)
        old = browser.token(URL)
    written = "\nOnce </textarea><script>alert(1)</script>\nmore"
    answer = browser.client.post(f"{URL}/comments", data={"csrf": old, "text": written})
    assert (answer.status_code, answer.headers["cache-control"]) == (403, "no-store")
    page = check_page(answer.text)
    field = page.find(".//textarea")
    assert field is not None
    assert (field.text, "readonly" in field.attrib) == (written, False)
    assert "Nothing is lost" in text_of(page)
    assert visited_lite.count(comments) == 0
    form = next(each for each in page.iter("form") if each.get("action") == f"{URL}/comments")
    token = next(each.get("value", "") for each in form.iter("input") if each.get("name") == "csrf")
    again = browser.client.post(f"{URL}/comments", data={"csrf": token, "text": field.text})
    assert (again.status_code, visited_lite.count(comments)) == (303, 1)
    assert check_page(browser.client.post(f"{URL}/vote", data={"csrf": old}).text).find(".//textarea") is None


def test_who_is_not_signed_in_any_more_gets_back_what_was_written(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    page = check_page(browser.client.post(f"{URL}/comments", data={"csrf": "old", "text": "Once"}).text)
    field = page.find(".//textarea")
    assert field is not None
    assert (field.text, "readonly" in field.attrib) == ("Once", True)


def test_the_longest_comment_of_the_widest_characters_is_taken(visited_lite: Visited) -> None:
    browser = visited_lite.reader()
    assert browser.post(f"{URL}/comments", text="🏞" * 5_000).status_code == 303
    assert "🏞" * 5_000 in browser.get(URL).text


def test_long_talk_has_pages_and_each_comment_an_address(
    visited_lite: Visited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "PAGE", 3)
    browser = visited_lite.reader()
    for number in range(7):
        browser.post(f"{URL}/comments", text=f"number {number}")
    first, last = (check_page(browser.get(f"{URL}{query}").text) for query in ("", "?page=3"))
    assert [f"comment-{number}" in {each.get("id") for each in first.iter("article")} for number in (1, 3, 4)] == [
        True,
        True,
        False,
    ]
    assert "number 6" in text_of(last)
    assert "number 5" not in text_of(last)
    assert browser.get("/comments/7").headers["location"] == f"{URL}?page=3#comment-7"
    assert browser.get("/comments/3").headers["location"] == f"{URL}#comment-3"
    browser.post("/comments/1/delete")
    assert browser.get("/comments/7").headers["location"] == f"{URL}?page=2#comment-7"


def test_operators_are_marked_and_nobody_else(visited_lite: Visited) -> None:
    visited_lite.reader(ADA).post(f"{URL}/comments", text="mine")
    visited_lite.reader(OPERATOR).post(f"{URL}/comments", text="ours")
    page = check_page(visited_lite.browser().get(URL).text)
    marked = [
        each.get("id")
        for each in page.findall(".//article[@class='comment']")
        if each.find(".//span[@class='chip runs']") is not None
    ]
    assert marked == ["comment-2"]


@pytest.mark.parametrize("form", ["vote", "comments"])
@pytest.mark.parametrize("paper", ["2611.99999", "nothing", "hep-th/0000000", "2611.00001v2/x"])
def test_papers_that_are_not_here(visited_lite: Visited, form: str, paper: str) -> None:
    browser = visited_lite.reader()
    assert browser.post(f"/papers/{paper}/{form}", want="1", text="x").status_code == 404


@pytest.mark.parametrize("want", ["", "2", "true", "-1"])
def test_a_vote_says_what_it_wants(visited_lite: Visited, want: str) -> None:
    assert visited_lite.reader().post(f"{URL}/vote", want=want).status_code == 400
    assert visited_lite.count(votes) == 0


@pytest.mark.parametrize("number", ["0", "-1", str(-(2**63) - 1), "-" + "9" * 23, str(2**63), "9" * 40, "x"])
def test_numbers_that_no_comment_has(visited: Visited, number: str) -> None:
    assert visited.browser().get(f"/comments/{number}").status_code in (400, 404)
    assert visited.reader().post(f"/comments/{number}/delete").status_code in (400, 404)


def test_one_form_token_serves_all_forms_of_a_session(visited_lite: Visited) -> None:
    browser = visited_lite.reader()
    token = token_in(browser.get("/").text)
    assert browser.client.post(f"{URL}/vote", data={"csrf": token, "want": "1"}).status_code == 303
    assert browser.client.post(f"{URL}/comments", data={"csrf": token, "text": "x"}).status_code == 303
