"""Locks across processes: one holder at a time, and free as soon as the holder is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL

from cenote.errors import StorageError
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive, in_turn

PATIENCE = 30.0


HOLD = """
import sys, time
from pathlib import Path
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive
with exclusive(Database(sys.argv[1]), Path(sys.argv[2]), "work") as got:
    print(got, flush=True)
    time.sleep(600)
"""


def test_one_at_a_time(database: Database, store_url: URL, tmp_path: Path) -> None:
    with exclusive(database, tmp_path, "work") as first:
        with Database(store_url) as another, exclusive(another, tmp_path, "work") as second:
            assert (first, second) == (True, False)
        with exclusive(database, tmp_path, "else") as other:
            assert other
        with exclusive(database, tmp_path, "work") as third:
            assert not third
    with exclusive(database, tmp_path, "work") as again:
        assert again


def test_the_lock_ends_with_its_process(database: Database, store_url: URL, tmp_path: Path) -> None:
    address = store_url.render_as_string(hide_password=False)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, address, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        with exclusive(database, tmp_path, "work") as got:
            assert not got
        holder.kill()
    given_up = time.monotonic() + PATIENCE
    while True:
        with exclusive(database, tmp_path, "work") as got:
            if got:
                break
        assert time.monotonic() < given_up
        time.sleep(0.01)


def test_an_error_of_who_has_the_lock_frees_it(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(database, tmp_path, "work"):
        _ = 1 / 0
    with exclusive(database, tmp_path, "work") as got:
        assert got


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/store.sqlite3")
    with pytest.raises(StorageError, match=r"the lock .*/file/\.work\.lock cannot be made"):  # noqa: SIM117
        with exclusive(database, tmp_path / "file", "work"):
            pass


def test_in_turn_nobody_writes_between_a_look_and_a_write(database: Database) -> None:
    journal: list[str] = []

    def turn(number: int) -> None:
        with database.write() as connection:
            in_turn(connection, "test")
            journal.append(f"begin {number}")
            time.sleep(0.02)
            journal.append(f"end {number}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(turn, range(6)))
    begins = [line.split()[1] for line in journal if line.startswith("begin")]
    assert journal == [f"{what} {number}" for number in begins for what in ("begin", "end")]
