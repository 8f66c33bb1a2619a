"""Papers in from the command line: files, standard input, addresses and servers; what a user sees, and exit codes."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import Result
from sqlalchemy import URL
from typer.testing import CliRunner

from cenote.cli import app
from cenote.site import feeding
from cenote.site.feeding import Kind
from cenote.site.importing import stored_cursor
from cenote.site.reading import Manners
from cenote.site.reading.clients import HUB
from cenote.site.store.database import Database
from cenote.site.store.reading import count_papers, find_paper

DATA = Path(__file__).resolve().parent / "data"
CARDS = 38


@pytest.fixture
def home(tmp_path: Path, store_url: URL, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose store is empty, in each of the databases."""
    monkeypatch.setenv("CENOTE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CENOTE_DATABASE_URL", store_url.render_as_string(hide_password=False))
    return tmp_path / "home"


@pytest.fixture
def sqlite_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with its own database, for what does not depend on which it is."""
    monkeypatch.setenv("CENOTE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def call(*arguments: str, rc: int = 0, given: bytes | None = None) -> Result:
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments), input=given)
    assert outcome.exit_code == rc, outcome.output
    return outcome


def refused(*arguments: str) -> str:
    """What is said of a call that cannot be done: one sentence, behind whatever progress there was."""
    outcome = call(*arguments, rc=2)
    assert outcome.stdout == ""
    *progress, sentence = outcome.stderr.splitlines()
    assert sentence.startswith("cenote: ")
    assert [line for line in progress if not re.fullmatch(r"(going on with .*|[\d,]+ papers.*)", line)] == []
    return sentence


def lines(path: Path, count: int, first: int = 1) -> bytes:
    """A snapshot of so many papers, the last of its lines being none."""
    papers = [{"id": f"2501.{number:05}", "title": f"Paper {number}"} for number in range(first, first + count)]
    content = "".join(json.dumps(paper) + "\n" for paper in papers).encode() + b'{"id": "2501.\n'
    path.write_bytes(content)
    return content


def open_store(home: Path) -> Database:
    return Database(f"sqlite:///{home / 'cenote.sqlite3'}")


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_is_imported_once(home: Path, tmp_path: Path, store_url: URL) -> None:
    lines(tmp_path / "papers.json", 25)
    said = call("import", "kaggle", str(tmp_path / "papers.json"))
    (side_file,) = (home / "imports").iterdir()
    assert said.stdout == f"papers.json: 25 new, 0 changed, 0 same, 1 bad (see {side_file})\n"
    assert json.loads(side_file.read_text())["position"] == 26
    assert "25 papers, 1 bad records" in said.stderr
    assert "25 same, 1 bad" in call("import", "kaggle", str(tmp_path / "papers.json")).stdout
    assert len(side_file.read_text().splitlines()) == 1
    with Database(store_url) as database, database.read() as connection:
        assert count_papers(connection) == 25 + CARDS


@pytest.mark.parametrize(
    ("kind", "file"), [("daily", "daily.json"), ("oai", "oai_arxiv.xml"), ("atom", "atom_new_prefixes.xml")]
)
def test_every_format(sqlite_home: Path, kind: str, file: str) -> None:
    said = call("import", kind, str(DATA / file)).stdout
    found = re.match(rf"{file}: (\d+) new", said)
    assert found is not None
    assert int(found[1]) >= 1
    with open_store(sqlite_home) as database, database.read() as connection:
        assert count_papers(connection) == int(found[1]) + CARDS


def test_a_limited_import_goes_on_behind(sqlite_home: Path, tmp_path: Path) -> None:
    lines(tmp_path / "papers.json", 9)
    first = call("import", "kaggle", str(tmp_path / "papers.json"), "--limit", "4")
    assert "4 new, 0 changed, 0 same, 0 bad; there is more" in first.stdout
    shutil.move(tmp_path / "papers.json", tmp_path / "away")
    (tmp_path / "deep").mkdir()
    moved = tmp_path / "deep" / "papers.json"
    shutil.move(tmp_path / "away", moved)
    second = call("import", "kaggle", str(moved))
    assert "5 new, 0 changed, 0 same, 1 bad" in second.stdout
    assert "there is more" not in second.stdout
    assert "going on with papers.json: 4 papers before" in second.stderr


def test_a_list_with_a_damaged_item_goes_on_behind_and_the_item_is_repaired(sqlite_home: Path, tmp_path: Path) -> None:
    items = [json.dumps({"paper": {"id": f"2501.{number:05}", "title": "Zoë"}}) for number in range(1, 8)]
    items[4] = items[4].replace('"paper"', "'paper'")
    (tmp_path / "daily.json").write_text(f"[{', '.join(items)}]")
    side_file = str(tmp_path / "side.jsonl")
    first = call("import", "daily", str(tmp_path / "daily.json"), "--limit", "3", "--bad", side_file)
    assert "3 new, 0 changed, 0 same, 0 bad; there is more" in first.stdout
    second = call("import", "daily", str(tmp_path / "daily.json"), "--bad", side_file)
    assert "3 new, 0 changed, 0 same, 1 bad" in second.stdout
    said = json.loads(Path(side_file).read_text())
    assert (said["position"], said["record"]) == (5, items[4])
    repaired = said["record"].replace("'paper'", '"paper"')
    assert (
        "standard input: 1 new, 0 changed, 0 same, 0 bad"
        in call("import", "daily", "-", given=f"[{repaired}]".encode()).stdout
    )


def test_another_file_of_the_same_name_is_read_from_its_beginning(sqlite_home: Path, tmp_path: Path) -> None:
    lines(tmp_path / "papers.json", 9)
    call("import", "kaggle", str(tmp_path / "papers.json"), "--limit", "4")
    lines(tmp_path / "papers.json", 9, first=101)
    assert "9 new" in call("import", "kaggle", str(tmp_path / "papers.json")).stdout


def test_standard_input_is_read_from_its_beginning(sqlite_home: Path, tmp_path: Path) -> None:
    content = lines(tmp_path / "papers.json", 5)
    assert "standard input: 5 new" in call("import", "kaggle", "-", given=content).stdout
    other = lines(tmp_path / "papers.json", 7, first=4)
    assert "standard input: 5 new, 0 changed, 2 same" in call("import", "kaggle", "-", given=other).stdout


def test_bad_records_alone_are_a_failure(sqlite_home: Path, tmp_path: Path) -> None:
    lines(tmp_path / "papers.json", 0)
    side_file = tmp_path / "side.jsonl"
    outcome = call("import", "kaggle", str(tmp_path / "papers.json"), "--bad", str(side_file), rc=1)
    assert outcome.stdout == f"papers.json: 0 new, 0 changed, 0 same, 1 bad (see {side_file})\n"
    assert json.loads(side_file.read_text())["record"] == '{"id": "2501.'


def test_a_bad_line_is_repaired_and_imported_again(sqlite_home: Path, tmp_path: Path) -> None:
    line = json.dumps({"id": "2501.00001", "title": "Ponds", "abstract": "pool " * 1_000, "authors": "A. König"})
    (tmp_path / "papers.json").write_bytes(line.replace('"title"', 'title"').encode())
    side_file = tmp_path / "side.jsonl"
    call("import", "kaggle", str(tmp_path / "papers.json"), "--bad", str(side_file), rc=1)
    said = json.loads(side_file.read_text())
    assert "truncated" not in said
    repaired = said["record"].replace('title"', '"title"')
    assert repaired == line
    (tmp_path / "repaired.json").write_text(repaired)
    assert "1 new, 0 changed, 0 same, 0 bad" in call("import", "kaggle", str(tmp_path / "repaired.json")).stdout
    with open_store(sqlite_home) as database, database.read() as connection:
        found = find_paper(connection, "2501.00001")
    assert found is not None
    paper = found.paper
    assert (paper.title, paper.authors, paper.summary) == ("Ponds", ("A. König",), ("pool " * 1_000).strip())


def test_an_empty_file_is_none(sqlite_home: Path, tmp_path: Path) -> None:
    (tmp_path / "papers.json").touch()
    assert "0 new, 0 changed, 0 same, 0 bad" in call("import", "kaggle", str(tmp_path / "papers.json")).stdout


def test_interrupted_and_called_again(sqlite_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(tmp_path / "papers.json", 8)
    read = feeding.FORMATS["kaggle"]

    def read_a_part(stream: object, *, after: int = 0) -> Iterator[object]:
        for record in read(stream, after=after):  # type: ignore[arg-type]
            if record.position == 6:
                raise KeyboardInterrupt
            yield record

    monkeypatch.setattr("cenote.site.importing.BATCH", 2)
    with monkeypatch.context() as patch:
        patch.setattr(feeding, "FORMATS", {"kaggle": read_a_part})
        outcome = call("import", "kaggle", str(tmp_path / "papers.json"), rc=130)
    assert outcome.stderr.endswith("cenote: interrupted; the same command goes on with what was under way\n")
    assert "4 new, 0 changed, 0 same, 1 bad" in call("import", "kaggle", str(tmp_path / "papers.json")).stdout


@pytest.mark.parametrize(("arguments", "said"), [
    (("kaggle",), "SOURCE is missing"),
    (("kaggle", "no-such-file"), "no-such-file cannot be opened: No such file"),
    (("kaggle", "."), "it is a folder"),
    (("kaggle", "ftp://example.org/x"), "source must be a file, '-' or an http(s) address"),
    (("kaggle", "http://127.0.0.1:9/x"), "which is not a public address; "),
    (("daily", "--limit", "3"), "--limit needs SOURCE"),
    (("daily", "x.json", "--since", "2026-01-01"), "--since is for servers, without SOURCE"),
    (("daily", "--category", "cs.LG"), "--category is for atom, not for daily"),
    (("atom", "--set", "cs"), "--set is for oai, not for atom"),
    (("atom", "--category", "machine learning"), "categories must be codes such as cs.LG"),
])  # fmt: skip
def test_what_a_user_gets_wrong_is_one_sentence(sqlite_home: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused("import", *arguments)


def test_a_file_that_is_cut_short(sqlite_home: Path, tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_bytes((DATA / "oai_arxiv.xml").read_bytes()[:-40])
    assert "cut short" in refused("import", "oai", str(tmp_path / "feed.xml"))


def test_a_store_that_is_none(sqlite_home: Path, tmp_path: Path) -> None:
    lines(tmp_path / "papers.json", 1)
    sqlite_home.mkdir()
    (sqlite_home / "cenote.sqlite3").write_text("something else, long enough to be looked at " * 20)
    assert "file is not a database" in refused("import", "kaggle", str(tmp_path / "papers.json"))


def test_a_setting_that_is_wrong(sqlite_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENOTE_DATABASE_URL", "mysql://root:hidden@host/x")
    said = refused("import", "daily")
    assert "CENOTE_DATABASE_URL: it must begin with sqlite or postgresql" in said
    assert "hidden" not in said


# --- servers ------------------------------------------------------------------------------------------------------


class Server:
    """Gives what ``self.reply`` makes of a path and a query; keeps the queries."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.reply: Callable[[dict[str, str]], bytes | None] = lambda query: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = dict(parse_qsl(urlsplit(self.path).query))
                server.asked.append(query)
                body = server.reply(query)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(feeding, "MANNERS", dict.fromkeys(Kind, Manners(pause=0, attempts=1)))
    server = Server()
    thread = Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def test_the_hub_is_asked_from_where_the_last_time_ended(home: Path, store_url: URL, server: Server) -> None:
    item = {"paper": {"id": "2501.00001", "title": "Featured", "upvotes": 3}}
    server.reply = lambda query: json.dumps([item] if query["date"] == str(today()) else []).encode()
    arguments = ("import", "daily", "--server", server.address, "--allow-private")
    assert call(*arguments).stdout == f"{server.address}: 1 new, 0 changed, 0 same, 0 bad\n"
    first = [query["date"] for query in server.asked]
    assert first[-1] == str(today())
    assert len(first) >= 7
    server.asked.clear()
    assert "0 new, 0 changed, 1 same" in call(*arguments).stdout
    # Votes of the last week still change; what lies before is not asked for again.
    assert [query["date"] for query in server.asked] == [str(today() - dt.timedelta(days)) for days in range(7, -1, -1)]
    with Database(store_url) as database, database.read() as connection:
        stored = find_paper(connection, "2501.00001")
    assert stored is not None
    assert (stored.day, stored.paper.upvotes) == (today(), 3)


def test_from_a_day_on(sqlite_home: Path, server: Server) -> None:
    server.reply = lambda query: b"[]"
    since = today() - dt.timedelta(3)
    arguments = ("import", "daily", "--server", server.address, "--allow-private")
    call(*arguments, "--since", str(since))
    assert server.asked[0]["date"] == str(since - dt.timedelta(7))
    server.asked.clear()
    call(*arguments)
    assert server.asked[0]["date"] == str(today() - dt.timedelta(7))


def test_an_import_from_a_server_that_fails_goes_on_where_it_was(sqlite_home: Path, server: Server) -> None:
    yesterday = today() - dt.timedelta(1)
    server.reply = lambda query: None if query["date"] == str(today()) else b"[]"
    arguments = (
        "import",
        "daily",
        "--server",
        server.address,
        "--allow-private",
        "--since",
        str(today() - dt.timedelta(9)),
    )
    assert "the server answers 404" in refused(*arguments)
    with open_store(sqlite_home) as database:
        cursor = stored_cursor(database, f"daily {server.address}")
    assert cursor is not None
    assert cursor.day == yesterday
    server.asked.clear()
    server.reply = lambda query: b"[]"
    call(*arguments)
    assert server.asked[0]["date"] == str(yesterday - dt.timedelta(7))


def test_arxiv_is_asked_for_categories(sqlite_home: Path, server: Server) -> None:
    server.reply = lambda query: (DATA / "atom_new_prefixes.xml").read_bytes()
    arguments = ("import", "atom", "--server", server.address, "--allow-private")
    call(*arguments, "--category", "stat.ML", "--category", "cs.LG")
    assert server.asked[0]["search_query"].startswith("(cat:cs.LG OR cat:stat.ML) AND submittedDate:[")
    with open_store(sqlite_home) as database:
        assert stored_cursor(database, f"atom {server.address} cs.LG stat.ML") is not None
        assert stored_cursor(database, f"atom {server.address}") is None


def test_a_long_list_is_gone_on_with_inside_of_it(sqlite_home: Path, server: Server) -> None:
    page = (DATA / "oai_raw.xml").read_text()
    more = re.sub(
        r"<resumptionToken.*?</resumptionToken>|(?=</ListRecords>)",
        "<resumptionToken>page 2</resumptionToken>",
        page,
        count=1,
        flags=re.S,
    )
    last = re.sub(r"<resumptionToken.*?(</resumptionToken>|/>)", "", page, flags=re.S)
    server.reply = lambda query: None if "resumptionToken" in query else more.encode()
    arguments = ("import", "oai", "--server", server.address, "--allow-private", "--set", "cs")
    refused(*arguments)
    assert server.asked[0]["set"] == "cs"
    with open_store(sqlite_home) as database:
        cursor = stored_cursor(database, f"oai {server.address} cs")
    assert cursor is not None
    assert (cursor.token, cursor.begun) == (
        "page 2",
        dt.date.fromisoformat(re.findall(r"<responseDate>(.{10})", page)[0]),
    )
    server.asked.clear()
    server.reply = lambda query: last.encode()
    call(*arguments)
    assert server.asked[0]["resumptionToken"] == "page 2"
    with open_store(sqlite_home) as database:
        after = stored_cursor(database, f"oai {server.address} cs")
    assert after is not None
    assert (after.day, after.token) == (cursor.begun, None)  # the day on which the list was begun


def test_an_address_is_read(sqlite_home: Path, tmp_path: Path, server: Server) -> None:
    content = lines(tmp_path / "papers.json", 3)
    server.reply = lambda query: content
    said = call("import", "kaggle", f"{server.address}/papers.json", "--allow-private").stdout
    assert "3 new, 0 changed, 0 same, 1 bad" in said


def test_servers_are_those_of_arxiv_and_the_hub_asked_politely() -> None:
    assert feeding.SERVERS[Kind.DAILY] == HUB == "https://huggingface.co"
    assert {kind: manners.pause for kind, manners in feeding.MANNERS.items()} == {
        Kind.ATOM: 3.0,  # what arXiv asks for
        Kind.OAI: 3.0,
        Kind.DAILY: 1.0,
    }
