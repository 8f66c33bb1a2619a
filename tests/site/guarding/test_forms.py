"""Forms count only where this site showed them, in the browser it showed them to (CSRF)."""

from __future__ import annotations

import time

import pytest
from itsdangerous import TimestampSigner

from cenote.site.guarding.requests import ONE_CLICK
from cenote.site.guarding.visitors import FORM_LASTS
from cenote.site.store.reader_tables import sessions, votes

from ..visiting import PAPER, Browser, Visited
from .routes import changing

URL = f"/papers/{PAPER.id}"
VOTE = f"{URL}/vote"


def vote(browser: Browser, token: str | None, **headers: str) -> int:
    fields = {"want": "1"} if token is None else {"want": "1", "csrf": token}
    return browser.client.post(VOTE, data=fields, headers=headers).status_code


def test_no_form_counts_without_its_token(visited_lite: Visited) -> None:
    browser = visited_lite.reader("olga@example.org")
    addresses = changing(visited_lite.app)
    assert len(addresses) >= 15
    for method, address in addresses:
        if address.startswith(ONE_CLICK):
            continue  # mail programs have no token; what they name is secret itself
        for fields in ({}, {"csrf": ""}, {"csrf": "x.y.z"}):
            answer = browser.client.request(method, address, data={"sure": "yes", "want": "1", "text": "x", **fields})
            assert answer.status_code == 403 or (answer.status_code, "/runs" in address) == (404, True), address
    assert visited_lite.count(votes) == 0
    assert browser.is_signed_in()


def test_tokens_of_others_and_old_ones_are_refused(visited_lite: Visited, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob, stranger = visited_lite.reader(), visited_lite.reader("bob@example.org"), visited_lite.browser()
    own = ada.token("/account")
    assert vote(ada, bob.token("/account")) == 403
    assert vote(ada, stranger.token()) == 403
    assert vote(stranger, own) == 403
    signed, _, signature = own.rpartition(".")
    # The first character, for the last one holds bits that stand for nothing.
    assert vote(ada, f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}") == 403
    assert vote(ada, None) == 403
    lasts = int(FORM_LASTS.total_seconds())
    for age, status in [(lasts + 2, 403), (lasts - 60, 303)]:
        with monkeypatch.context() as patch:
            patch.setattr(TimestampSigner, "get_timestamp", lambda self, age=age: int(time.time()) - age)
            made = ada.token("/account")
        assert vote(ada, made) == status
    assert vote(ada, own) == 303


def test_a_token_ends_with_its_session(visited_lite: Visited) -> None:
    ada = visited_lite.reader()
    before = ada.token("/account")
    ada.post("/sign-out")
    assert vote(ada, before) == 403
    ada.sign_in()
    assert vote(ada, before) == 403
    assert vote(ada, ada.token("/account")) == 303


def test_tokens_are_another_each_time(visited_lite: Visited) -> None:
    ada = visited_lite.reader()
    assert len({ada.token("/account") for _ in range(5)}) == 5


HOST = "127.0.0.1:8000"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": f"http://{HOST}"}, 303),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({}, 303),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": f"http://{HOST}.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:8001"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": f"http://evil@{HOST}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}"}, 403),
    ],
)
def test_a_page_of_another_site_sends_nothing(visited_lite: Visited, headers: dict[str, str], status: int) -> None:
    ada = visited_lite.reader()
    assert vote(ada, ada.token("/account"), **headers) == status
    assert visited_lite.count(votes) == (status == 303)


def test_no_other_site_signs_anybody_in(visited_lite: Visited) -> None:
    # The attacker has a link of their own, and their own browser's token, but not the key of the victim's browser.
    mallory, victim = visited_lite.browser(), visited_lite.browser()
    link = visited_lite.link("mallory@example.org")
    token = mallory.token(f"/sign-in/{link}")
    victim.get("/sign-in")
    for sent in ({"csrf": token}, {}):
        answer = victim.client.post(f"/sign-in/{link}", data=sent)
        assert answer.status_code == 403
    assert not victim.is_signed_in()
    assert visited_lite.count(sessions) == 0
    assert mallory.post(f"/sign-in/{link}").status_code == 303  # it was not used up


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"csrf=%00&want=1",
        b"csrf=%ff&want=1",
        b"a=1&" * 200,
        b'--x\r\nContent-Disposition: form-data; name="csrf"; filename="a"\r\n\r\nx\r\n--x--\r\n',
    ],
)
@pytest.mark.parametrize(
    "kind",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", ""],
)
def test_whatever_is_sent_is_no_error_of_the_server(visited_lite: Visited, body: bytes, kind: str) -> None:
    ada = visited_lite.reader()
    answer = ada.client.post(VOTE, content=body, headers={"Content-Type": kind})
    assert answer.status_code in (400, 403)
