"""The command line as a user meets it: output, one sentence for every error, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cenote import __version__
from cenote.catalog import Card, get_card, load_cards
from cenote.catalog import commands as declared_commands
from cenote.catalog.card import Command
from cenote.catalog.loading import PACKAGE, DamagedCard, read_cards, unwritten
from cenote.cli import app

LISTED = next(card.slug for card in load_cards() if not card.runs)


def call(*arguments: str, rc: int = 0) -> str:
    """Run the command line in this process; return standard output, or standard error where an error is expected."""
    outcome = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments))
    assert outcome.exit_code == rc, outcome.output
    return outcome.stdout if rc == 0 else outcome.stderr


def one_sentence(*arguments: str) -> str:
    """Run a call that a user got wrong: exit code 2, one line, no traceback."""
    error = call(*arguments, rc=2)
    assert error.startswith("cenote: ")
    assert len(error.strip().splitlines()) == 1
    assert "Traceback" not in error
    return error


def test_papers_lists_all() -> None:
    listed = {paper["slug"] for paper in json.loads(call("papers", "--json"))}
    assert listed == {card.slug for card in load_cards()}
    assert len(listed) == 38


def test_papers_finds_by_several_words_and_shelf() -> None:
    assert [paper["slug"] for paper in json.loads(call("papers", "order", "polytope", "--json"))] == ["order-theory"]
    shelves = {paper["shelf"] for paper in json.loads(call("papers", "--shelf", "Retrieval", "--json"))}
    assert shelves == {"retrieval"}
    assert "No paper matches 'zzzz'" in call("papers", "zzzz")


def test_papers_says_what_is_only_listed() -> None:
    assert "listed" in call("papers", LISTED)
    assert [paper["status"] for paper in json.loads(call("papers", LISTED, "--json"))] == ["listed"]


def test_papers_says_in_which_order_they_come() -> None:
    said = " ".join(call("papers", "--help").split())
    assert "newest first" in said
    assert "best match first" in said


@pytest.fixture
def damaged_paper(monkeypatch: pytest.MonkeyPatch) -> str:
    """One listed paper has a card with a wrong key."""
    cards = load_cards()
    (gone,) = [card for card in cards if card.slug == LISTED]
    path = PACKAGE / gone.shelf / gone.folder / "card.toml"
    found = tuple(card for card in cards if card != gone), (DamagedCard(path, f"{path}: x: this key is not known"),)
    for module in ("loading", "terminal", "commands"):
        monkeypatch.setattr(f"cenote.catalog.{module}.read_cards", lambda *_: found)
    return LISTED


def test_a_damaged_card_leaves_the_list_standing(damaged_paper: str) -> None:
    outcome = CliRunner().invoke(app, ["papers", "--json"])
    assert outcome.exit_code == 0
    listed = {paper["slug"]: paper["status"] for paper in json.loads(outcome.stdout)}
    assert len(listed) == 38
    assert listed[damaged_paper] == "damaged"
    assert list(listed.values()).count("damaged") == 1
    assert outcome.stderr == f"cenote: {damaged_paper} is damaged; 'cenote doctor' says what is wrong\n"
    assert f"{damaged_paper} " in call("papers")
    assert "this key is not known" in one_sentence("show", damaged_paper)
    assert "Order Theory" in call("show", "order-theory")
    assert "Commands" in call("--help")


def test_show_tells_claims_and_status() -> None:
    page = call("show", "2412.06097")
    assert "Order Theory in the Context of Machine Learning" in page
    assert "cenote run order-theory" in page
    assert "listed: its method is not here yet" in call("show", LISTED)
    assert len(json.loads(call("show", "order-theory", "--json"))["claims"]) == len(get_card("order-theory").claims)


def test_version() -> None:
    assert call("--version").strip() == f"cenote {__version__}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", LISTED), f"{LISTED} is listed: its method is not here yet"),
        (("run", "oder-theory"), "did you mean 'order-theory'?"),
        (("show", "1234.56789"), "no paper '1234.56789'"),
        (("papers", "--shelf", "poling"), "did you mean 'pooling'?"),
        (("run", "order-theory", "--preset", "huge"), "preset must be one of tiny, smoke, laptop, paper, got 'huge'"),
        (("run", "order-theory", "--set", "epoch=3"), "setting 'epoch' is unknown; the settings are data, seeds"),
        (("run", "order-theory", "--set", "epochs"), "--set needs KEY=VALUE, got 'epochs'"),
        (("run", "order-theory", "--set", "epochs=0"), "setting 'epochs': Input should be greater than"),
        (("run", "order-theory", "--set", "poset=M"), "setting 'poset': unknown poset 'M'; the names are dual claw"),
        (("run", "order-theory", "--data", "mnist5"), "--data: there is no data set 'mnist5'; did you mean 'mnist-5k'"),
        (("run", "order-theory", "--data", "nope"), "--data: there is no data set 'nope'; choose from bccd, "),
        (("new", "pooling", "x", "--title", "T", "--arxiv", "1", "--published", "2024-12-01", "--authors", "1"),
         "arxiv must be an arXiv id such as 2412.06097, got '1'"),
        (("new", "pooling", "A b", "--title", "T", "--arxiv", "2412.00001", "--published", "2024-12-01",
          "--authors", "1"), "slug must be lower-case words joined by hyphens, such as max-pooling, got 'A b'"),
        (("run", "order-theory", "--config", "settings.yaml"), "--config must be a .toml or .json file"),
        (("run", "order-theory", "--config", "nowhere.toml"), "--config nowhere.toml cannot be read: No such file"),
        (("verify", LISTED), f"{LISTED} is listed: its method is not here yet"),
        (("new", "poling", "x", "--title", "T", "--arxiv", "2412.00001", "--published", "2024-12-01", "--authors", "1"),
         "no shelf 'poling'"),
        (("new", "pooling", "x", "--title", "T", "--arxiv", "2412.00001", "--published", "soon", "--authors", "1"),
         "published must be a day such as 2024-12-08, got 'soon'"),
        (("new", "pooling", "ggem", "--title", "T", "--arxiv", "2412.00001", "--published", "2024-12-01",
          "--authors", "1"), "slug 'ggem' or arxiv '2412.00001' is taken by ggem"),
    ],
)  # fmt: skip
def test_errors_are_one_sentence(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in one_sentence(*arguments)
    assert not any(tmp_path.glob("runs/*/*/result.json"))


def test_usage_errors_exit_with_two() -> None:
    assert "No such command" in call("rum", rc=2)


def test_data_root_without_the_data_set_says_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "holiday-photos").mkdir()
    monkeypatch.setenv("CENOTE_OFFLINE", "1")
    monkeypatch.delenv("CENOTE_DATA", raising=False)
    error = one_sentence(
        "run", "order-theory", "--preset", "tiny", "--data", "cifar10", "--data-root", str(tmp_path),
        "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert "'cifar10' not found" in error
    assert "holiday-photos" in error
    assert not (tmp_path / "runs").exists()


def test_what_follows_a_run_is_told_which_data_are_missing_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CENOTE_OFFLINE", "1")
    monkeypatch.setenv("CENOTE_DATA", str(tmp_path))
    progress = tmp_path / "progress"
    error = one_sentence(
        "run", "order-theory", "--preset", "tiny", "--data", "cifar10", "--runs", str(tmp_path / "runs"),
        "--progress", str(progress),
    )  # fmt: skip
    assert json.loads(progress.read_text()) == {"missing": ["cifar10"]}
    assert "not on this machine: cifar10" in error
    assert str(tmp_path) not in error


def test_config_file_and_pairs_are_stored_with_the_run(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("epochs = 2\nwidth = 3\n")
    out = call("run", "order-theory", "--preset", "tiny", "--config", str(config), "--set", "width=2", "--jobs", "1",
               "--runs", str(tmp_path / "runs"))  # fmt: skip
    report = Path(out.rpartition("report: ")[2].strip())
    stored = json.loads((report.parent / "result.json").read_text())["settings"]
    assert (stored["epochs"], stored["width"]) == (2, 2)
    assert report.is_file()
    assert "poset after ReLU" in out


def test_new_writes_a_room_that_is_listed_at_once(tmp_path: Path) -> None:
    """Into a copy of the package's cards: the room is found by its card alone."""
    from cenote.catalog.scaffold import write_skeleton

    for path in PACKAGE.glob("*/*/card.toml"):
        copy = tmp_path / path.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "pooling" / "ggem" / "card.toml").write_text("schema_version = 0")  # somebody is just editing it
    files = write_skeleton("tracking", "new-paper", title="A “New” Paper", arxiv="2601.00001", published="2026-01-02",
                           authors=3, package=tmp_path)  # fmt: skip
    assert [file.name for file in files] == ["card.toml", "__init__.py"]
    read_cards.cache_clear()
    card = get_card("new-paper", package=tmp_path)
    assert list(unwritten(card)) == ["summary", "claims.main.sentence"]
    assert (card.title, card.status, card.authors) == ("A “New” Paper", "listed", 3)
    compile(files[1].read_text(), "room", "exec")


def test_a_command_of_a_card_is_listed_without_its_code_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card names ``cenote.greeting:app``; the module is imported by the call, not by the list."""
    import types

    greeting = typer.Typer()

    @greeting.command()
    def hello(name: str) -> None:
        typer.echo(f"hello {name}")

    command = Command(name="greet", help="Say hello to somebody.", target="cenote.greeting:app")
    card: Card = get_card("order-theory").model_copy(update={"commands": (command,)})
    monkeypatch.setattr(declared_commands, "read_cards", lambda: ((card,), ()))
    assert "greet" in call("--help")
    assert "Say hello to somebody." in call("--help")
    assert "cenote.greeting" not in sys.modules
    module = types.ModuleType("cenote.greeting")
    module.app = greeting  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cenote.greeting", module)
    assert call("greet", "reader").strip() == "hello reader"
    assert "Missing argument" in call("greet", rc=2)


def test_doctor_finds_cards_sound() -> None:
    out = call("doctor")
    assert "38 papers" in out
    assert "mnist-5k" in out


def test_doctor_never_asks_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("cenote.lab.data.hub._probe", refuse)
    monkeypatch.setattr("datasets.load_dataset", refuse)
    monkeypatch.setenv("CENOTE_DATA", str(tmp_path))
    assert "the hub was not asked (CENOTE_OFFLINE is set)" in " ".join(call("doctor").split())


def test_a_damaged_result_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "order-theory"
    folder.mkdir()
    (folder / "index.json").write_text('{"schema_version": 1, "slug": "order-theory", "runs": 3}')
    monkeypatch.setattr("cenote.catalog.results.latest.__defaults__", (tmp_path,))
    monkeypatch.setattr("cenote.catalog.results.published.__defaults__", (tmp_path,))
    assert "is not an index of results" in one_sentence("show", "order-theory")
    outcome = CliRunner().invoke(app, ["papers"])
    assert outcome.exit_code == 0
    assert "pooling · damaged" in outcome.stdout
    assert all(card.slug in outcome.stdout for card in load_cards())
    assert outcome.stderr == "cenote: order-theory is damaged; 'cenote doctor' says what is wrong\n"


def test_closed_pipe_is_no_traceback() -> None:
    line = f"{sys.executable} -m cenote.cli papers | head -1"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("paper")
    assert "Traceback" not in done.stderr
