"""Thousands of hostile inputs, sent as they are to a real server with the real search: none is an error of ours."""

from __future__ import annotations

import contextlib
import http.client
import random
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from cenote.site.search import Mode
from cenote.site.state import Site

pytestmark = pytest.mark.slow

INPUTS = 2_400
SEED = 20261122

CANARY = "what-nobody-may-read-7f3a"
LEAKS = (CANARY, "root:x:0:0", "SQLite format 3", "[build-system]", "schema_version = 1", "Traceback (most recent")
"""The beginnings of files that are near, and of what an error would tell."""
SCRIPT = "<script>alert(1)"

ADDRESSES = {
    "/search?q={}": {200},
    "/search?q=pooling&author={0}&category={0}&organization={0}&first={0}&shelf={0}&mode={0}&page={0}": {200},
    "/search/results?q={}": {200},
    "/papers/{}": {200, 308, 404},
    "/papers/{}.md": {200, 308, 404},
    "/papers/{}.bib": {200, 308, 404},
    "/papers/2412.06097/results/{}": {404},
    "/static/{}": {404},
    "/api/papers/search?q={}": {200},
    "/api/papers/search?mode=semantic&q={}": {200},
    "/api/papers/search?q=pooling&author={0}&category={0}&organization={0}": {200},
    "/api/papers/{}": {200, 404},
}
"""Where an input goes, and what may be answered."""

FTS = ('"', "*", "NEAR(", "AND", "OR", "NOT", "title:", "{title} :", "^", "(", ")", "-", "+", "pool*", "NEAR/2", "<->",
       "&", "|", "!", ":A", "''", "\\", "pooling", "rank MATCH")  # fmt: skip
SQL = ("' OR 1=1 --", '" OR ""="', "'; DROP TABLE papers; --", "UNION SELECT sql FROM sqlite_master", "%' ESCAPE '",
       "$1", ":match", "?", "/**/", "pg_sleep(9)", "x' AND 1=randomblob(1000000000) --", "\\x27")  # fmt: skip
TEMPLATES = (
    "{{7*7}}",
    "{% include '/etc/passwd' %}",
    "${jndi:ldap://x}",
    "%s%n%d",
    "{0.__class__}",
    f"{SCRIPT}</script>",
)
FILES = ("etc/passwd", "etc/hostname", "proc/self/environ", "pyproject.toml", "card.toml", "store.sqlite3", "secret")
UP = ("../", "..\\", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%252f", "%c0%ae%c0%ae/", "....//", "..;/", "./", "//", "%5c..")
RAW = (
    "%00",
    "%0d%0aX-Injected:%201",
    "%ff%fe",
    "%ed%a0%80",
    "%f4%90%80%80",
    "%c0%af",
    "%u0041",
    "%",
    "%zz",
    "%2500",
    "+",
)
"""Escapes, right and wrong, that go out as they are."""
ODD = ("\x00", "\x1b[31m", "\u202e", "\u200f", "\u2028", "\ufeff", "\ufffe", "\ud800", "\udfff", "e\u0301" * 40,
       "ﬀ", "İ", "ß", "𝔘", "😀", "👩‍👩‍👧", "过滤", "ทดสอบ", "١٢٣", "²", "\t", "\r\n")  # fmt: skip
IDENTIFIERS = ("2412.06097", "hep-th/9901001", "2602.00004v3", "arXiv:2602.00001", "order-theory", "order_theory")
RANGES = ((0x01, 0x7F), (0x80, 0x7FF), (0x590, 0x6FF), (0xD800, 0xDFFF), (0x2000, 0x206F), (0xE000, 0x10FFFF))


def hostile(draw: random.Random, place: str) -> str:
    """One input, ready to stand in an address."""
    kind = draw.randrange(8)
    if kind == 0:
        return sent("".join(chr(draw.randint(*draw.choice(RANGES))) for _ in range(draw.randint(1, 60))))
    if kind == 1:
        return sent(" ".join(draw.choices(FTS, k=draw.randint(1, 12))))
    if kind == 2:
        return sent(draw.choice(("", "pooling ", "2412.06097")) + draw.choice(SQL + TEMPLATES))
    if kind == 3:
        return "".join(draw.choices(UP, k=draw.randint(1, 12))) + draw.choice((*FILES, place.lstrip("/"), place))
    if kind == 4:
        return "".join(draw.choices((*RAW, "pool", "2412.06097", "%2F", "%20"), k=draw.randint(1, 8)))
    if kind == 5:
        return sent(draw.choice(("a", "pool ", '"', "(", "%", "é", "😀", "../", "1")) * draw.randint(100, 3_000))[
            :20_000
        ]
    if kind == 6:
        return sent("".join(draw.choices((*ODD, *FTS, *IDENTIFIERS, " "), k=draw.randint(1, 10))))
    return sent(
        draw.choice(IDENTIFIERS) + "".join(draw.choices((*ODD, "/", "v", ".", "#", "?", "x"), k=draw.randint(0, 4)))
    )


def sent(text: str) -> str:
    """Escaped as a careless client does: lone surrogates go out as the bytes they would be."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="/:")


def questions(place: str) -> Iterator[tuple[str, set[int]]]:
    draw = random.Random(SEED)
    for number in range(INPUTS):
        address = list(ADDRESSES)[number % len(ADDRESSES)]
        yield address.format(hostile(draw, place)), ADDRESSES[address]


def test_no_input_is_an_error_and_no_file_is_told(endpoint: str, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert site.search.find("posets", mode=Mode.SEMANTIC).mode is Mode.SEMANTIC  # meaning is asked too
    canary = site.settings.home / "secret"
    canary.write_text(CANARY)
    seen: set[str] = set()
    with contextlib.closing(http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)) as server:
        for address, allowed in questions(str(canary)):
            server.request("GET", address)
            answer = server.getresponse()
            body = answer.read().decode()
            assert answer.status in allowed, address
            assert answer.getheader("X-Injected") is None
            assert not [leak for leak in LEAKS if leak in body], address
            if "html" in answer.getheader("Content-Type", ""):
                assert SCRIPT not in body, address
            seen.add(address)
    assert len(seen) > 0.95 * INPUTS
    assert not caplog.records  # nor was anything written into the server's log
