"""A backup is the store at one moment, whole or not there; restoring keeps what was there and takes nothing else."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import URL, make_url
from typer.testing import CliRunner

from cenote.cli import app
from cenote.errors import ArgumentError, DataFormatError, RunError, StorageError
from cenote.site import backup
from cenote.site.backup import Backup, back_up_store, restore_store
from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.reading import count_papers
from cenote.site.store.saving import save_papers


@pytest.fixture
def url(tmp_path: Path) -> URL:
    return URL.create("sqlite", database=str(tmp_path / "store" / "store.sqlite3"))


@pytest.fixture
def store(url: URL) -> Path:
    """A store of ten papers that nobody has open."""
    fill(url, 10)
    return Path(str(url.database))


def fill(url: URL, count: int, title: str = "Paper") -> None:
    with Database(url) as database, database.write() as connection:
        save_papers(connection, [Paper(id=f"2501.{n:05}", title=f"{title} {n}") for n in range(count)])


def titles(path: Path) -> set[str]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return {title for (title,) in connection.execute("SELECT title FROM papers")}
    finally:
        connection.close()


def found(path: Path, word: str) -> int:
    """Papers that the text index has under a word."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        count: int = connection.execute(
            "SELECT count(*) FROM papers_text WHERE papers_text MATCH ?", (word,)
        ).fetchone()[0]
        return count
    finally:
        connection.close()


# --- backup -------------------------------------------------------------------------------------------------------


def test_a_copy_has_all_in_one_file(store: Path, url: URL, tmp_path: Path) -> None:
    store.chmod(0o640)
    file = tmp_path / "copy.sqlite3"
    made = back_up_store(url, file)
    assert made == Backup(papers=10, size=file.stat().st_size)
    assert titles(file) == titles(store) == {f"Paper {n}" for n in range(10)}
    assert found(file, "paper") == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.sqlite3", "store"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640  # what is private stays private


def test_a_copy_made_while_others_write_is_of_one_moment(store: Path, url: URL, tmp_path: Path) -> None:
    """Each transaction gives all papers one title, so a copy with two titles would be of two moments."""
    stop, written = Event(), Event()

    def write() -> None:
        with Database(url) as database:
            for turn in range(10_000):
                with database.write() as connection:
                    batch = [Paper(id=f"2501.{n:05}", title=f"Turn {turn}", summary="word " * 500) for n in range(60)]
                    save_papers(connection, batch)
                written.set()
                if stop.is_set():
                    return

    thread = Thread(target=write)
    thread.start()
    try:
        assert written.wait(30)
        seen = set()
        for turn in range(8):
            file = tmp_path / f"{turn}.sqlite3"
            assert back_up_store(url, file).papers == 60
            (title,) = titles(file)
            seen.add(title)
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 1


def test_what_stands_in_the_log_only_is_copied_too(store: Path, url: URL, tmp_path: Path) -> None:
    with Database(url) as database, database.write() as connection:
        save_papers(connection, [Paper(id="2501.99999", title="Latest")])
        connection.commit()
        assert store.with_name(f"{store.name}-wal").stat().st_size > 0
        assert back_up_store(url, tmp_path / "copy.sqlite3").papers == 11


def test_a_file_that_is_there_is_replaced_if_asked(store: Path, url: URL, tmp_path: Path) -> None:
    file = tmp_path / "copy.sqlite3"
    file.write_text("precious")
    with pytest.raises(ArgumentError, match="is there already; choose another name, or --force"):
        back_up_store(url, file)
    assert file.read_text() == "precious"
    back_up_store(url, file, overwrite=True)
    assert len(titles(file)) == 10


def test_the_store_itself_is_never_the_target(store: Path, url: URL, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store)
    for file in (store, tmp_path / "link"):
        with pytest.raises(ArgumentError, match="it is the store itself"):
            back_up_store(url, file, overwrite=True)
    assert len(titles(store)) == 10


def test_where_no_backup_can_be(store: Path, url: URL, tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "nowhere" / "copy"):
        with pytest.raises(ArgumentError, match="FILE must be a file in a folder that is there"):
            back_up_store(url, file)
    with pytest.raises(StorageError, match=r"there is no store at .*none"):
        back_up_store(URL.create("sqlite", database=str(tmp_path / "none")), tmp_path / "copy")


def test_a_damaged_store_is_not_backed_up(store: Path, url: URL, tmp_path: Path) -> None:
    damage(store)
    with pytest.raises(DataFormatError, match="is damaged"):
        back_up_store(url, tmp_path / "copy.sqlite3")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_full_disk_leaves_nothing(store: Path, url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(part: Path, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_into_place", full)
    with pytest.raises(StorageError, match=r"copy.sqlite3 could not be written: No space left on device; nothing"):
        back_up_store(url, tmp_path / "copy.sqlite3")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_two_backups_to_one_file(store: Path, url: URL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "copy.sqlite3"
    check = backup._check

    def other_too(copy: Path, source: Path) -> int:
        monkeypatch.setattr(backup, "_check", check)
        with pytest.raises(RunError, match="another process writes"):
            back_up_store(url, file)
        return check(copy, source)

    monkeypatch.setattr(backup, "_check", other_too)
    assert back_up_store(url, file).papers == 10


def test_what_a_kill_left_behind_is_used_again(store: Path, url: URL, tmp_path: Path) -> None:
    (tmp_path / ".copy.sqlite3.part").write_bytes(os.urandom(100_000))
    (tmp_path / ".copy.sqlite3.part-journal").write_bytes(os.urandom(1000))
    back_up_store(url, tmp_path / "copy.sqlite3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.sqlite3", "store"]


# --- restore ------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(store: Path, url: URL, tmp_path: Path) -> Path:
    """A backup of the ten papers, in whose store there are 20 others now."""
    file = tmp_path / "copy.sqlite3"
    back_up_store(url, file)
    fill(url, 20, "Later")
    return file


def test_restoring_keeps_what_was_there(store: Path, url: URL, file: Path) -> None:
    store.chmod(0o600)
    file.chmod(0o644)
    done = restore_store(url, file)
    assert (done.store, done.papers) == (store, 10)
    assert done.kept is not None
    assert titles(store) == {f"Paper {n}" for n in range(10)}
    assert titles(done.kept) == {f"Later {n}" for n in range(20)}
    assert {path.name for path in store.parent.iterdir()} == {store.name, done.kept.name}
    fill(url, 12, "New")  # and it is a store like any other
    assert len(titles(store)) == 12
    assert len(titles(file)) == 10
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_restoring_where_there_is_nothing(url: URL, file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "fresh" / "store.sqlite3"
    done = restore_store(URL.create("sqlite", database=str(elsewhere)), file)
    assert (done.papers, done.kept) == (10, None)
    assert [path.name for path in elsewhere.parent.iterdir()] == ["store.sqlite3"]
    assert len(titles(elsewhere)) == 10


def test_a_store_that_is_open_is_left_alone(store: Path, url: URL, file: Path) -> None:
    with Database(url) as database:
        with database.read() as connection:
            assert count_papers(connection) == 20
        # No transaction is open any more, but the pool keeps the connection, as a server's does.
        with pytest.raises(RunError, match=r"another process has .* open; stop the server"):
            restore_store(url, file)
    assert len(titles(store)) == 20
    assert restore_store(url, file).papers == 10


def test_a_damaged_store_is_kept_too(store: Path, url: URL, file: Path) -> None:
    store.write_bytes(b"nothing that is a database" * 1000)
    store.with_name(f"{store.name}-wal").write_bytes(b"nor a log")
    done = restore_store(url, file)
    assert done.kept is not None
    assert done.kept.read_bytes().startswith(b"nothing that is")
    assert done.kept.with_name(f"{done.kept.name}-wal").read_bytes() == b"nor a log"
    assert len(titles(store)) == 10
    assert not store.with_name(f"{store.name}-wal").exists()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def damage(path: Path) -> None:
    """Overwrite a page in the middle."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    with path.open("r+b") as opened:
        opened.seek(path.stat().st_size // 2 // 4096 * 4096)
        opened.write(b"\xff" * 8192)


def bad_files(good: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    def copy(name: str) -> Path:
        return Path(shutil.copy(good, folder / name))

    yield folder / "none", "which is no file"
    yield folder, "which is no file"
    (folder / "text").write_text("not a database, but long enough to look like one " * 200)
    yield folder / "text", "is not a store of cenote, or is damaged"
    (folder / "empty").touch()
    yield folder / "empty", "is a database, but not a store of cenote"
    change(folder / "other", "CREATE TABLE papers (id)")
    yield folder / "other", "is a database, but not a store of cenote"
    change(copy("newer"), "UPDATE alembic_version SET version_num = '9999'")
    yield folder / "newer", "its tables are of revision 9999, and this one knows those up to 0"
    damage(copy("damaged"))
    yield folder / "damaged", "is damaged|not a store of cenote, or is damaged"
    change(copy("index"), "DELETE FROM papers_text_data WHERE id > 10")
    yield folder / "index", "is damaged"
    change(
        copy("lost"), "INSERT INTO vectors (number, encoder, text_version, vector) VALUES (12345, 'encoder', 1, x'00')"
    )
    yield folder / "lost", "is damaged: a row of vectors belongs to none of papers"


def test_what_is_no_backup_changes_nothing(store: Path, url: URL, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    seen = 0
    for path, said in bad_files(file, folder):
        with pytest.raises((ArgumentError, DataFormatError), match=said):
            restore_store(url, path)
        seen += 1
        assert [each.name for each in store.parent.iterdir()] == [store.name]
    assert seen == 9
    assert len(titles(store)) == 20


def test_the_store_is_no_backup_of_itself(store: Path, url: URL) -> None:
    with pytest.raises(ArgumentError, match="is the store itself"):
        restore_store(url, store)
    assert len(titles(store)) == 10


# --- the commands -------------------------------------------------------------------------------------------------


def test_from_the_command_line(tmp_path: Path) -> None:
    url = URL.create("sqlite", database=str(tmp_path / "home" / "cenote.sqlite3"))
    fill(url, 10)
    runner = CliRunner(env={"CENOTE_HOME": str(tmp_path / "home")})
    file = str(tmp_path / "copy")
    made = runner.invoke(app, ["backup", file])
    assert (made.exit_code, made.stdout) == (0, f"{file}: 10 papers, {Path(file).stat().st_size / 1e6:,.1f} MB\n")
    assert runner.invoke(app, ["backup", file]).exit_code == 2
    assert runner.invoke(app, ["backup", file, "--force"]).exit_code == 0
    restored = runner.invoke(app, ["restore", file])
    assert restored.exit_code == 0
    assert f"{url.database}: 10 papers; what was there before is {url.database}.before-" in restored.stdout


@pytest.mark.parametrize(("command", "tool"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_postgresql_has_its_own_tools(command: str, tool: str, tmp_path: Path) -> None:
    address = "postgresql://reader:secret@host:5433/feed?host=/run/socket&sslpassword=secret"
    runner = CliRunner(env={"CENOTE_DATABASE_URL": address})
    done = runner.invoke(app, [command, str(tmp_path / "a copy")])
    assert done.exit_code == 2
    assert "secret" not in done.output
    call = done.stderr.strip().partition(f": {tool} ")[2]
    assert f"'{tmp_path}/a copy'" in call
    (shown,) = [word for word in call.split("'") if word.startswith("postgresql://")]
    assert make_url(shown) == make_url("postgresql://reader@host:5433/feed?host=/run/socket")
