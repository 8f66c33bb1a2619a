"""Taking turns: in the order of coming, no more at once than there are places."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from cenote.site.papers import Paper
from cenote.site.search import Mode, Search
from cenote.site.search.turns import Turns, available_cores
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers


def start_waiting(turns: Turns, waiting: int, work: threading.Thread) -> None:
    """Start a thread and return when it waits for its turn, as this many then do."""
    work.start()
    for _ in range(1_000):
        if len(turns._waiting) == waiting:
            return
        time.sleep(0.001)
    raise AssertionError(f"{len(turns._waiting)} wait, not {waiting}")


def test_who_came_first_is_served_first() -> None:
    turns, served = Turns(1), list[int]()

    def serve(number: int) -> None:
        with turns:
            served.append(number)

    threads = [threading.Thread(target=serve, args=(number,)) for number in range(20)]
    with turns:
        for number, thread in enumerate(threads):
            start_waiting(turns, number + 1, thread)
        assert not served
    for thread in threads:
        thread.join()
    assert served == list(range(20))


def test_who_comes_late_does_not_slip_in() -> None:
    turns, served = Turns(1), list[str]()

    def serve() -> None:
        with turns:
            served.append("waited")

    waits = threading.Thread(target=serve)
    with turns:
        start_waiting(turns, 1, waits)
    with turns:  # at once, before the thread that waits has woken
        served.append("came late")
    waits.join()
    assert served == ["waited", "came late"]


@pytest.mark.parametrize("places", [1, 2, 3])
def test_no_more_at_once_than_there_are_places(places: int) -> None:
    turns, lock = Turns(places), threading.Lock()
    inside, most = 0, 0
    full = threading.Barrier(places)

    def serve() -> None:
        nonlocal inside, most
        with turns:
            with lock:
                inside += 1
                most = max(most, inside)
            full.wait(10)  # so many are let in at once, or this breaks
            with lock:
                inside -= 1

    threads = [threading.Thread(target=serve) for _ in range(6 * places)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == places


def test_an_error_gives_the_place_away() -> None:
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns:
            raise ZeroDivisionError
    with turns:
        pass


def test_searches_share_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Database(f"sqlite:///{tmp_path}/store.sqlite3") as database:
        with database.write() as connection:
            save_papers(connection, [Paper(id="2001.00001", title="Pooling")])
        search = Search(database, home=tmp_path, tags={})
        lock = threading.Lock()
        inside, most = 0, 0
        rank = search._index.ranked

        def ranked(*given: object) -> list[int]:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1
            return rank(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(search._index, "ranked", ranked)
        found = list[int]()
        threads = [
            threading.Thread(target=lambda: found.append(search.find("pooling", mode=Mode.KEYWORD).total))
            for _ in range(4 * available_cores())
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [1] * len(threads)
    assert most == available_cores()
