"""An import that is stopped anywhere and started again leaves what one that was not stopped leaves."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from cenote.errors import RunError, StorageError
from cenote.site import importing
from cenote.site.importing import Progress, import_records, stored_cursor
from cenote.site.papers import Paper
from cenote.site.reading.records import Bad, Cursor, Deleted, Good, Record
from cenote.site.store.database import Database
from cenote.site.store.reading import count_papers
from cenote.site.store.tables import papers


class StoppedError(Exception):
    """A kill."""


def record(position: int) -> Record:
    """Every seventh is bad, every eleventh takes the paper before it back."""
    if position % 7 == 0:
        return Bad(position, "title: missing", f"record {position}")
    if position % 11 == 0:
        return Deleted(f"2501.{position - 1:05}", position)
    return Good(Paper(id=f"2501.{position:05}", title=f"Paper {position}"), position)


def reader(count: int, stop: int | None = None) -> Callable[[Progress], Iterator[Record]]:
    def read(progress: Progress) -> Iterator[Record]:
        for position in range(progress.position + 1, count + 1):
            if position == stop:
                raise StoppedError
            yield record(position)

    return read


def titles(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.scalars(select(papers.c.title).order_by(papers.c.id)))


def expected(count: int) -> list[str]:
    gone = {position - 1 for position in range(1, count + 1) if position % 11 == 0 and position % 7}
    return [f"Paper {p}" for p in range(1, count + 1) if isinstance(record(p), Good) and p not in gone]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH", 5)


@pytest.mark.usefixtures("small_batches")
def test_papers_bad_records_and_deletions(database: Database, tmp_path: Path) -> None:
    steps: list[Progress] = []
    bad_file = tmp_path / "side" / "bad.jsonl"
    done = import_records(database, "file", reader(40), bad_file=bad_file, on_progress=steps.append)
    assert titles(database) == expected(40)
    assert (done.position, done.bad, done.finished) == (40, 5, True)
    assert (done.new, done.changed) == (done.saved, 0)
    assert [step.position for step in steps] == [5, 10, 15, 20, 25, 30, 35, 40]
    lines = [json.loads(line) for line in bad_file.read_text().splitlines()]
    assert [line["position"] for line in lines] == [7, 14, 21, 28, 35]
    assert lines[0] == {"position": 7, "reason": "title: missing", "record": "record 7"}


@pytest.mark.usefixtures("small_batches")
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=st.lists(st.integers(1, 45), max_size=4))
def test_stopped_anywhere_and_started_again(
    database: Database, tmp_path_factory: pytest.TempPathFactory, stops: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("import")
    bad_file, key = folder / "bad.jsonl", str(folder)
    for stop in stops:
        try:
            import_records(database, key, reader(40, stop), bad_file=bad_file)
        except StoppedError:
            continue
    done = import_records(database, key, reader(40), bad_file=bad_file)
    assert titles(database) == expected(40)
    assert (done.position, done.bad) == (40, 5)
    assert [json.loads(line)["position"] for line in bad_file.read_text().splitlines()] == [7, 14, 21, 28, 35]


def test_a_file_that_is_there_is_kept_beside(database: Database, tmp_path: Path) -> None:
    bad_file = tmp_path / "notes.txt"
    bad_file.write_text("precious")
    import_records(database, "file", reader(20), bad_file=bad_file)
    assert (tmp_path / "notes.txt.old").read_text() == "precious"
    assert len(bad_file.read_text().splitlines()) == 2


@pytest.mark.usefixtures("small_batches")
def test_bad_records_of_a_batch_that_was_not_kept_are_not_there_twice(database: Database, tmp_path: Path) -> None:
    def fail(position: int) -> Callable[[Progress], None]:
        def stop(progress: Progress) -> None:
            if progress.position >= position:
                raise StoppedError

        return stop

    bad_file = tmp_path / "bad.jsonl"
    with pytest.raises(StoppedError):
        import_records(database, "file", reader(40), bad_file=bad_file, on_progress=fail(15))
    with bad_file.open("a") as file:
        file.write('{"position": 17, "reason": "written by a batch that was ki')
    import_records(database, "file", reader(40), bad_file=bad_file)
    assert [json.loads(line)["position"] for line in bad_file.read_text().splitlines()] == [7, 14, 21, 28, 35]


def test_a_finished_import_starts_at_the_beginning_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    import_records(database, "file", reader(20), bad_file=tmp_path / "bad.jsonl")
    seen: list[int] = []

    def read(progress: Progress) -> Iterable[Record]:
        seen.append(progress.position)
        return reader(20)(progress)

    done = import_records(database, "file", read, bad_file=tmp_path / "bad.jsonl")
    assert seen == [0]
    assert (done.changed, done.bad) == (0, 2)
    assert titles(database) == expected(20)


def test_a_paper_taken_back_in_the_batch_that_brought_it_stays_away(database: Database, tmp_path: Path) -> None:
    paper = Paper(id="2501.00001", title="Withdrawn")
    records = [Good(paper, 1), Deleted(paper.id, 2)]
    import_records(database, "oai", lambda _: records, bad_file=tmp_path / "bad.jsonl")
    assert titles(database) == []
    records = [Deleted(paper.id, 1), Good(paper, 2)]
    import_records(database, "oai", lambda _: records, bad_file=tmp_path / "bad.jsonl")
    assert titles(database) == ["Withdrawn"]


def test_a_cursor_is_kept_with_the_records_before_it(database: Database, tmp_path: Path) -> None:
    first, second = Cursor(dt.date(2025, 1, 3), "page 2"), Cursor(dt.date(2025, 1, 4))
    seen: list[Cursor | None] = []

    def read(progress: Progress) -> Iterator[Record | Cursor]:
        seen.append(progress.cursor)
        yield record(1)
        yield first
        yield record(2)
        if len(seen) == 1:
            raise StoppedError
        yield second

    assert stored_cursor(database, "hub") is None
    with pytest.raises(StoppedError):
        import_records(database, "hub", read, bad_file=tmp_path / "bad.jsonl")
    assert stored_cursor(database, "hub") == first
    with database.read() as connection:
        assert count_papers(connection) == 1
    import_records(database, "hub", read, bad_file=tmp_path / "bad.jsonl")
    import_records(database, "hub", read, bad_file=tmp_path / "bad.jsonl")
    assert seen == [None, first, second]


@pytest.mark.usefixtures("small_batches")
def test_two_imports_of_one_source_are_noticed(database: Database, tmp_path: Path) -> None:
    def other_too(progress: Progress) -> None:
        if progress.position == 5:
            import_records(database, "file", reader(40), bad_file=tmp_path / "other.jsonl")

    with pytest.raises(RunError, match="another process imports 'file'"):
        import_records(database, "file", reader(40), bad_file=tmp_path / "bad.jsonl", on_progress=other_too)
    assert titles(database) == expected(40)


@pytest.mark.parametrize("truncated", [False, True])
def test_the_side_file_says_what_was_cut(database: Database, tmp_path: Path, truncated: bool) -> None:
    bad = Bad(1, "no JSON", "{\n\x00\u2028ö", truncated)
    import_records(database, "file", lambda _: [bad], bad_file=tmp_path / "bad.jsonl")
    [line] = (tmp_path / "bad.jsonl").read_bytes().splitlines()
    expected = {"position": 1, "reason": "no JSON", "record": "{\n\x00\u2028ö"}
    assert json.loads(line) == (expected | {"truncated": True} if truncated else expected)


def test_large_bad_records_fill_a_batch(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_BAD_TEXT", 2_500)
    records = [Bad(position, "no JSON", "{" * 1_000) for position in range(1, 8)]
    steps: list[Progress] = []
    import_records(database, "file", lambda _: records, bad_file=tmp_path / "bad.jsonl", on_progress=steps.append)
    assert [step.position for step in steps] == [3, 6, 7]
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 7


def test_a_side_file_that_cannot_be_written_stops_the_import(database: Database, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        import_records(database, "file", reader(10), bad_file=tmp_path / "file" / "bad.jsonl")
    assert titles(database) == []
