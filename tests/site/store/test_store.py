"""Saving and reading papers, alike in both databases."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest
from alembic import autogenerate, command
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, func, select, text

from cenote.errors import StorageError
from cenote.site.papers import Paper
from cenote.site.readers.names import name_key
from cenote.site.store.database import Database, alembic_config, newest_revision
from cenote.site.store.reading import (
    count_between,
    count_papers,
    day_after,
    day_before,
    find_paper,
    find_papers,
    newest_day,
    papers_between,
)
from cenote.site.store.saving import Saved, delete_papers, save_papers
from cenote.site.store.tables import metadata, papers, vectors

NOON = dt.datetime(2024, 12, 8, 12, 30, 15, tzinfo=dt.UTC)

FULL = Paper(
    id="2412.06097",
    title="Order Theory",
    summary="Posets pool, and José's ‘filters’ 過濾 too.",
    authors=("Eric Dolores", "Aldo Guzmán"),
    published=NOON,
    updated=NOON + dt.timedelta(days=3),
    featured=dt.date(2024, 12, 10),
    categories=("cs.CV", "cs.AI"),
    keywords=("poset", "pooling"),
    organization="Michigan State",
    comment="8 files",
    journal_reference="J. Posets 3",
    doi="10.1000/xyz",
    license="CC0",
    code_url="https://github.com/x/y",
    code_stars=3,
    project_url="https://example.org",
    upvotes=4,
    comments=2,
    submitted_by="akhaliq",
)


def paper(number: int, day: int = 1, **more: object) -> Paper:
    published = dt.datetime(2025, 1, day, tzinfo=dt.UTC)
    return Paper.model_validate({"id": f"2501.{number:05}", "title": f"Paper {number}", "published": published} | more)


def save(database: Database, *batch: Paper, fill: bool = False) -> Saved:
    with database.write() as connection:
        return save_papers(connection, batch, fill=fill)


def stored(database: Database, paper_id: str) -> Paper:
    with database.read() as connection:
        found = find_paper(connection, paper_id)
    assert found is not None
    return found.paper


def text_version(database: Database, paper_id: str) -> int:
    with database.read() as connection:
        return connection.execute(select(papers.c.text_version).where(papers.c.id == paper_id)).scalar_one()


# --- one paper ----------------------------------------------------------------------------------------------------


def test_a_paper_comes_back_as_it_was_saved(database: Database) -> None:
    assert save(database, FULL) == Saved(new=1, changed=0, same=0)
    assert stored(database, FULL.id) == FULL.model_copy(update={"author_count": 2})


def test_what_is_not_known_stays_unknown(database: Database) -> None:
    bare = Paper(id="hep-th/9901001", title="Bare")
    save(database, bare)
    assert stored(database, bare.id) == bare
    with database.read() as connection:
        assert find_paper(connection, "2412.99999") is None


def test_saving_again_changes_nothing(database: Database) -> None:
    save(database, FULL, paper(1))
    assert save(database, FULL, paper(1)) == Saved(new=0, changed=0, same=2)
    with database.read() as connection:
        assert count_papers(connection) == 2


def test_of_a_paper_that_is_twice_in_a_batch_the_last_counts(database: Database) -> None:
    assert save(database, paper(1), paper(1, title="Second thoughts")) == Saved(new=1, changed=0, same=0)
    assert stored(database, "2501.00001").title == "Second thoughts"


def test_another_source_adds_what_it_knows_and_leaves_the_rest(database: Database) -> None:
    save(database, FULL)
    later = Paper(id=FULL.id, title="Order Theory in Context", upvotes=9, categories=("math.CT",))
    assert save(database, later, paper(2)) == Saved(new=1, changed=1, same=0)
    expected = {"title": later.title, "upvotes": 9, "categories": ("math.CT",), "author_count": 2}
    assert stored(database, FULL.id) == FULL.model_copy(update=expected)


def test_an_older_record_does_not_take_the_place_of_a_newer_one(database: Database) -> None:
    moments = [dt.datetime(2025, month, 1, tzinfo=dt.UTC) for month in (1, 3, 5)]
    first, third, last = (
        Paper(id="2501.00001", title=f"Title {moment.month}", updated=moment, categories=("cs.LG",)[: moment.month - 1])
        for moment in moments
    )
    save(database, third)
    save(database, first.model_copy(update={"comment": "12 pages"}))
    with database.read() as connection:
        found = find_paper(connection, "2501.00001")
    assert found is not None
    assert (found.paper.title, found.paper.updated, found.paper.comment) == ("Title 3", moments[1], "12 pages")
    save(database, last)
    with database.read() as connection:
        found = find_paper(connection, "2501.00001")
    assert found is not None
    assert (found.paper.title, found.paper.comment, found.paper.categories) == ("Title 5", "12 pages", ("cs.LG",))


def test_filling_in_never_replaces(database: Database) -> None:
    save(database, Paper(id=FULL.id, title="From the archive", summary="The abstract.", categories=("cs.LG",)))
    save(database, FULL, fill=True)
    known = {"title": "From the archive", "summary": "The abstract.", "categories": ("cs.LG",), "author_count": 2}
    assert stored(database, FULL.id) == FULL.model_copy(update=known)
    assert save(database, FULL, fill=True) == Saved(new=0, changed=0, same=1)


def test_the_first_day_a_paper_was_featured_stays(database: Database) -> None:
    first, again = dt.date(2025, 1, 3), dt.date(2025, 2, 1)
    save(database, paper(1))
    with database.read() as connection:
        assert newest_day(connection, dt.date.max) == dt.date(2025, 1, 1)  # of submission, as nobody featured it
    save(database, paper(1, featured=first))
    save(database, paper(1, featured=again))
    save(database, paper(1, day=20))
    with database.read() as connection:
        assert newest_day(connection, dt.date.max) == first
    assert stored(database, "2501.00001").featured == first


def test_the_text_has_a_version_that_only_its_words_raise(database: Database) -> None:
    save(database, FULL)
    save(database, FULL.model_copy(update={"upvotes": 50}))
    assert text_version(database, FULL.id) == 1
    save(database, FULL.model_copy(update={"summary": "Rewritten."}))
    assert text_version(database, FULL.id) == 2


def test_numbers_are_never_used_again_and_vectors_go_with_their_paper(database: Database) -> None:
    save(database, paper(1), paper(2))
    with database.write() as connection:
        found = find_paper(connection, "2501.00002")
        assert found is not None
        row = {"number": found.number, "encoder": "e", "text_version": 1, "vector": b"\0"}
        connection.execute(vectors.insert(), [row])
        assert delete_papers(connection, ["2501.00002", "2501.00009"]) == 1
    save(database, paper(3))
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(vectors)) == 0
        new = find_paper(connection, "2501.00003")
        assert new is not None
        assert new.number > found.number
        assert list(find_papers(connection, [new.number, found.number])) == [new.number]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(min_size=1, max_size=60), author=st.text(max_size=30), keyword=st.text(max_size=30))
def test_any_text_is_kept(database: Database, title: str, author: str, keyword: str) -> None:
    try:
        odd = Paper(id="2501.00001", title=title, authors=(author,), keywords=(keyword,))
    except ValueError:
        return  # nothing but white space and control characters
    save(database, odd)
    assert stored(database, odd.id).model_copy(update={"author_count": None}) == odd


# --- days ---------------------------------------------------------------------------------------------------------


def test_papers_of_some_days(database: Database) -> None:
    save(database, paper(1, 3), paper(2, 3, upvotes=2), paper(3, 5, upvotes=1), paper(4, 9, upvotes=9), paper(5, 3))
    first, last = dt.date(2025, 1, 3), dt.date(2025, 1, 5)
    with database.read() as connection:
        by_votes = [each.paper.id[-1] for each in papers_between(connection, first, last)]
        newest = [each.paper.id[-1] for each in papers_between(connection, first, last, order="newest")]
        page = [each.paper.id[-1] for each in papers_between(connection, first, last, limit=2, offset=1)]
        assert (by_votes, newest, page) == (["2", "3", "1", "5"], ["3", "2", "1", "5"], ["3", "1"])
        assert count_between(connection, first, last) == 4


def test_days_without_papers_are_passed_over(database: Database) -> None:
    with database.read() as connection:
        assert newest_day(connection, dt.date.max) is None
    save(database, paper(1, 3), paper(2, 7), Paper(id="2501.00003", title="Of no day"))
    third, seventh = dt.date(2025, 1, 3), dt.date(2025, 1, 7)
    with database.read() as connection:
        assert newest_day(connection, dt.date.max) == seventh
        assert newest_day(connection, dt.date(2025, 1, 6)) == third
        assert day_before(connection, seventh) == third
        assert day_after(connection, third) == seventh
        assert day_before(connection, third) is None
        assert day_after(connection, seventh) is None


# --- the text index -----------------------------------------------------------------------------------------------


def matching(database: Database, word: str) -> int:
    with database.read() as connection:
        if database.dialect == "sqlite":
            query = "SELECT count(*) FROM papers_text WHERE papers_text MATCH :word"
        else:
            either = "plainto_tsquery('english', :word) || plainto_tsquery('simple', :word)"  # names are not stemmed
            query = f"SELECT count(*) FROM papers WHERE papers_text @@ ({either})"
        return connection.execute(text(query), {"word": word}).scalar_one()


def test_the_text_index_follows_the_papers(database: Database) -> None:
    save(database, FULL)
    assert [matching(database, word) for word in ("order", "posets", "filter", "dolores", "pool")] == [1, 1, 1, 1, 1]
    save(database, FULL.model_copy(update={"summary": "Rewritten.", "upvotes": 70}))
    assert [matching(database, word) for word in ("filter", "rewritten")] == [0, 1]
    with database.write() as connection:
        delete_papers(connection, [FULL.id])
    assert matching(database, "order") == 0
    if database.dialect == "sqlite":
        with database.write() as connection:  # raises if index and papers differ
            connection.exec_driver_sql("INSERT INTO papers_text (papers_text, rank) VALUES ('integrity-check', 1)")


# --- the database -------------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_that_the_code_expects(database: Database) -> None:
    with database.read() as connection:
        options = {
            "compare_type": True,
            "include_object": lambda _, name, *__: not (name or "").startswith("papers_text"),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert autogenerate.compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_that_alembic_ends_with(database: Database) -> None:
    with database.read() as connection:
        head = ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
        assert newest_revision() == head
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == head


def test_of_readers_with_one_name_the_first_keeps_it(store_url: URL) -> None:
    database = Database(store_url)
    with database.write() as connection:
        command.upgrade(alembic_config(connection), "0003")
        for number, name in enumerate(["Ada", "ADA", "Bob", "ada"]):
            row = {"id": number + 1, "address": f"{number}@example.org", "name": name}
            add = "INSERT INTO readers VALUES (:id, :address, :name, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
            connection.execute(text(add), row)
    database.migrate()
    with database.read() as connection:
        rows = connection.execute(text("SELECT name, name_key FROM readers ORDER BY id")).all()
    database.close()
    (first, second, third, fourth) = (name for name, _ in rows)
    assert (first, third) == ("Ada", "Bob")
    assert all(name.startswith("reader-") for name in (second, fourth))
    assert [key for _, key in rows] == [name_key(name) for name, _ in rows]


def test_several_processes_may_open_a_new_store_at_once(store_url: URL) -> None:
    errors: list[Exception] = []

    def start() -> None:
        try:
            with Database(store_url) as opened:
                save(opened, paper(1))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            save_papers(connection, [FULL])
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    with database.read() as connection:
        assert count_papers(connection) == 0


def test_writers_that_read_first_do_not_run_into_each_other(database: Database) -> None:
    save(database, paper(1, upvotes=0))

    def vote() -> None:
        for _ in range(20):
            with database.write() as connection:
                query = select(papers.c.upvotes).where(papers.c.id == "2501.00001")
                query = query if database.dialect == "sqlite" else query.with_for_update()
                votes = connection.execute(query).scalar_one()
                connection.execute(papers.update().values(upvotes=votes + 1))

    threads = [threading.Thread(target=vote) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stored(database, "2501.00001").upvotes == 80


def test_a_database_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=r"the database sqlite:///.*folder cannot be opened: unable to open"):
        Database(f"sqlite:///{tmp_path / 'folder'}").migrate()
    missing = URL.create("postgresql+psycopg", username="u", password="secret", host=str(tmp_path), database="d")
    with pytest.raises(StorageError, match="cannot be opened") as caught:
        Database(missing).migrate()
    assert "secret" not in str(caught.value)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be made: "):
        Database(f"sqlite:///{tmp_path / 'file' / 'store.sqlite3'}")


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").write_bytes(b"noise" * 2_000)
    with pytest.raises(StorageError, match="cannot be opened: file is not a database"):
        Database(URL.create("sqlite", database=str(tmp_path / "store.sqlite3"))).migrate()


def test_preferred_papers_come_first_among_equals(database: Database) -> None:
    save(database, paper(1), paper(2), paper(3), paper(4, upvotes=5))
    with database.read() as connection:
        found = papers_between(connection, dt.date.min, dt.date.max, preferred=["2501.00003"])
        assert [each.paper.id[-1] for each in found] == ["4", "3", "1", "2"]
        assert [each.paper.id[-1] for each in papers_between(connection, dt.date.min, dt.date.max)] == [
            "4",
            "1",
            "2",
            "3",
        ]
