from __future__ import annotations

import datetime as dt
import math
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cenote.catalog.results import DataSource, Environment, Hashes, Record
from cenote.errors import ResultError, RunError, StorageError
from cenote.lab.runs import LOCK, RECORDS, RESULT, FinishedTrial, Header, RunFolder, new_run_id, runs_root

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SOURCE = DataSource(name="letters", checksum="c" * 64, size="26 letters")


def make_header(**changes: Any) -> Header:
    values: dict[str, Any] = {
        "slug": "tally",
        "run_id": "20261122-120000-smoke-0001",
        "preset": "smoke",
        "settings": {"data": ["letters"], "seeds": 2},
        "started": NOON,
        "commit": "c0ffee",
        "clean": True,
        "hashes": Hashes(claims="1", method="2", experiment="3"),
        "environment": Environment(
            python="3.11.7", platform="Linux", processor="P", cores=2, memory_gib=8, packages={"torch": "2.14.1"}
        ),
        "data": (SOURCE,),
    }
    return Header.model_validate(values | changes)


def make_record(trial: str, value: float = 0.1) -> Record:
    return Record(trial=trial, data="letters", arm="paper", metric="score", value=value, seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, make_header())


# --- records ------------------------------------------------------------------------------------------------------


def test_what_is_appended_is_read_back_to_the_last_digit(folder: RunFolder) -> None:
    values = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3]
    records = [make_record("t", value) for value in values]
    folder.append("t", records, elapsed=1.5)
    read = folder.trials()["t"]
    assert read == FinishedTrial(trial="t", part=folder.part, elapsed=1.5, records=tuple(records))
    assert [math.copysign(1, record.value) for record in read.records] == [1, -1, 1, 1, 1]
    assert (folder.path / RECORDS).read_bytes().count(b"\n") == 1


def test_a_torn_last_line_does_not_count_and_is_cut_by_whoever_holds_the_run(folder: RunFolder) -> None:
    folder.append("first", [make_record("first")], 1.0)
    path = folder.path / RECORDS
    good = path.read_bytes()
    for torn in (b'{"trial":"second","pa', good[:-1], b"\0" * 40, "ö".encode()[:1]):
        path.write_bytes(good + torn)
        assert list(folder.trials()) == ["first"]
        assert path.read_bytes() == good + torn  # a reader must not touch what another process may be writing
        with folder.locked():
            assert path.read_bytes() == good


def test_a_line_torn_before_any_other_leaves_an_empty_file(folder: RunFolder) -> None:
    (folder.path / RECORDS).write_bytes(b'{"trial"')
    with folder.locked():
        assert (folder.path / RECORDS).read_bytes() == b""
        assert folder.trials() == {}


@pytest.mark.parametrize(
    "damage",
    [b'{"trial":"second","pa', b"", b"\xff\xfe", b'{"trial":"second","part":"p","elapsed":"soon","records":[]}'],
)
def test_a_damaged_line_before_the_last_is_named(folder: RunFolder, damage: bytes) -> None:
    path = folder.path / RECORDS
    for trial in ("first", "second", "third"):
        folder.append(trial, [make_record(trial)], 1.0)
    lines = path.read_bytes().split(b"\n")
    lines[1] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(RunError, match=r"records\.jsonl, line 2, is damaged; remove .*smoke-0001 to start anew"):
        folder.trials()


def test_seconds_leave_pauses_out(folder: RunFolder) -> None:
    parts = [folder, RunFolder(folder.path), RunFolder(folder.path)]
    # Each part counts from its own start: 4 s, 2.5 s and 1 s of work, whatever passed between them.
    for part, trial, elapsed in [(0, "a", 1.5), (0, "b", 4.0), (1, "c", 2.5), (2, "d", 0.5), (2, "e", 1.0)]:
        parts[part].append(trial, [], elapsed)
    assert folder.seconds() == 4.0 + 2.5 + 1.0


def test_a_run_without_records_took_no_time(folder: RunFolder) -> None:
    assert folder.seconds() == 0
    assert folder.trials() == {}


# --- a full disk --------------------------------------------------------------------------------------------------


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write a file beyond a size, in the middle of a write: as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_does_not_fit_is_taken_back(folder: RunFolder) -> None:
    path = folder.path / RECORDS
    folder.append("first", [make_record("first")], 1.0)
    good = path.read_bytes()
    second = [make_record("second", value) for value in range(1000)]  # more than one buffer of a file object
    with files_at_most(len(good) + 10_000), pytest.raises(StorageError, match=r"records\.jsonl could not be written: "):
        folder.append("second", second, 2.0)
    assert path.read_bytes() == good
    folder.append("second", second, 2.0)
    assert folder.trials()["second"].records == tuple(second)


def test_a_first_line_that_does_not_fit_leaves_an_empty_file(folder: RunFolder) -> None:
    with files_at_most(20), pytest.raises(StorageError, match="the run can be resumed"):
        folder.append("first", [make_record("first")], 1.0)
    assert (folder.path / RECORDS).read_bytes() == b""


def test_a_header_that_does_not_fit_leaves_no_folder(tmp_path: Path) -> None:
    with files_at_most(20), pytest.raises(StorageError, match=r"run\.json could not be written"):
        RunFolder.create(tmp_path, make_header())
    assert list((tmp_path / "tally").iterdir()) == []


def test_a_run_cannot_be_made_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "tally").write_text("in the way")
    with pytest.raises(StorageError, match=r"run folder .*tally/20261122-120000-smoke-0001 could not be made"):
        RunFolder.create(tmp_path, make_header())


# --- one process at a time ----------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from cenote.lab.runs import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_held_by_one_process_until_it_dies(folder: RunFolder) -> None:
    command = [sys.executable, "-c", HOLD, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="20261122-120000-smoke-0001 is being worked on by another process"):
            folder.locked().__enter__()
        other.kill()
    with folder.locked():
        assert (folder.path / LOCK).exists()


def test_the_lock_is_let_go_after_an_error(folder: RunFolder) -> None:
    with pytest.raises(KeyboardInterrupt), folder.locked():
        raise KeyboardInterrupt
    with folder.locked():
        pass


def test_files_that_a_kill_left_without_their_name_are_cleared_away(folder: RunFolder) -> None:
    (folder.path / ".report.html.0a1b2c3d.tmp").write_text("half")
    (folder.path / "kept.tmp").write_text("not ours")
    with folder.locked():
        names = {path.name for path in folder.path.iterdir()}
    assert names == {"run.json", "kept.tmp", LOCK}


def test_a_folder_that_is_gone_cannot_be_held(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"run folder .*gone cannot be written: No such file"):
        RunFolder(tmp_path / "gone").locked().__enter__()


# --- finding ------------------------------------------------------------------------------------------------------


def test_the_newest_unfinished_run_of_the_same_work_is_found(tmp_path: Path) -> None:
    ids = [f"20261122-12000{second}-smoke-000{second}" for second in range(4)]
    folders = [RunFolder.create(tmp_path, make_header(run_id=run_id)) for run_id in ids]
    wanted = make_header(run_id="new", started=NOON + dt.timedelta(days=1), commit="another", clean=False)
    (folders[3].path / RESULT).write_text("finished")

    def found(**options: bool) -> str | None:
        run = RunFolder.find(tmp_path, wanted, **options)
        return None if run is None else run.path.name

    assert found() == ids[2]
    assert found(finished=True) == ids[3]
    for folder in folders:
        (folder.path / RESULT).write_text("finished")
    assert found() is None
    assert RunFolder.find(tmp_path / "nowhere", wanted) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "laptop"},
        {"settings": {"data": ["letters"], "seeds": 3}},
        {"hashes": Hashes(claims="x", method="2", experiment="3")},
        {"hashes": Hashes(claims="1", method="x", experiment="3")},
        {"hashes": Hashes(claims="1", method="2", experiment="x")},
        {"data": (SOURCE.model_copy(update={"checksum": "d" * 64}),)},
        {"slug": "other"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_run_of_other_work_is_not_found(tmp_path: Path, changes: dict[str, Any]) -> None:
    RunFolder.create(tmp_path, make_header())
    assert RunFolder.find(tmp_path, make_header()) is not None
    assert RunFolder.find(tmp_path, make_header(**changes)) is None


def test_a_run_that_did_not_keep_its_data_is_found(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, make_header(data=None))
    assert RunFolder.find(tmp_path, make_header()) is not None


@pytest.mark.parametrize("content", [b"", b"{", b'{"slug": "tally"}', b"\xff"])
def test_a_damaged_header_is_an_error_with_its_fix(folder: RunFolder, content: bytes) -> None:
    (folder.path / "run.json").write_bytes(content)
    with pytest.raises(RunError, match=r"run\.json is missing or damaged; remove the folder to start anew"):
        folder.header()


def test_the_header_is_read_back(folder: RunFolder) -> None:
    assert folder.header() == make_header()


def test_the_result_of_an_unfinished_run_is_refused(folder: RunFolder) -> None:
    with pytest.raises(RunError, match="smoke-0001 is not finished; the same command resumes it"):
        folder.result()
    (folder.path / RESULT).write_text("{}")
    with pytest.raises(ResultError, match=r"result\.json"):
        folder.result()


# --- names and places ---------------------------------------------------------------------------------------------


def test_run_ids_sort_by_time_and_differ_within_a_second() -> None:
    times = [NOON + dt.timedelta(seconds=step) for step in (0, 1, 60, 3600, 86400, 86400 * 40)]
    ids = [new_run_id("smoke", time) for time in times]
    assert ids == sorted(ids)
    assert ids[0].startswith("20261122-120000-smoke-")
    assert len({new_run_id("smoke", NOON) for _ in range(20)}) > 1


def test_runs_live_where_one_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CENOTE_RUNS", raising=False)
    assert runs_root() == Path("runs")
    monkeypatch.setenv("CENOTE_RUNS", str(tmp_path))
    assert runs_root() == tmp_path
    assert runs_root(Path("here")) == Path("here")
    monkeypatch.setenv("CENOTE_RUNS", "")
    assert runs_root() == Path("runs")


def test_appending_syncs_the_line_to_the_disk(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append((folder.path / RECORDS).read_bytes())
        real(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    folder.append("first", [make_record("first")], 1.0)
    assert synced == [(folder.path / RECORDS).read_bytes()]
