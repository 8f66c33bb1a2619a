from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cenote.catalog import get_card, load_cards, read_card
from cenote.catalog.card import Shelf
from cenote.catalog.loading import PACKAGE, DamagedCard, read_cards, unwritten
from cenote.errors import CardError, UnknownPaperError

CARD = (PACKAGE / "pooling" / "order_theory" / "card.toml").read_text(encoding="utf-8")


def write_card(package: Path, *changes: tuple[str, str], place: str = "pooling/order_theory") -> Path:
    """Write the card of order-theory with some of its text replaced."""
    text = CARD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = package / place / "card.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


# --- what is wrong with a card ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("margin = 0.01", "margn = 0.01", "claims.0.margn: this key is not known; did you mean 'margin'?"),
        ("authors = 5", "autors = 5", "autors: this key is not known; did you mean 'authors'?"),
        ("[links]", "[link]", "link: this key is not known; did you mean 'links'?"),
        ("code = ", "source = ", "links.source: this key is not known; the keys here are code, code_license, project"),
        ("authors = 5\n", "", "authors: this key is missing; add it"),
        ('metric = "accuracy"\n', "", "claims.0.metric: this key is missing; add it"),
        (
            "authors = 5",
            'authors = "five"',
            "authors: Input should be a valid integer, unable to parse string as an integer, got 'five'",
        ),
        ('"2412.06097"', "2412.06097", "arxiv: Input should be a valid string, got 2412.06097"),
        ("units = 8", "units = 0", "claims.0.units: Input should be greater than or equal to 1, got 0"),
        (
            '["max", "average", "mixed"]',
            '"max"',
            "claims.0.baselines: Input should be a valid tuple, got 'max'",
        ),
        ('"average", "mixed"]', '"average", ""]', "claims.0.baselines.2: String should have at least 1 character, got"),
        (
            'figure = "not known"',
            'figure = "unknown"',
            "claims.0.figure: Input should be a valid number, unable to parse string as a number or Input should be "
            "'not known', got 'unknown'",
        ),
        (
            'kind = "better"',
            'kind = "bettr"',
            "claims.0.kind: Input should be 'better', 'no_worse', 'equivalent', 'trend', 'rank', 'ratio', 'equal' or "
            "'bound', got 'bettr'",
        ),
        ('"2412.06097"', '"1"', "arxiv must be an arXiv id such as 2412.06097, got '1'"),
        ('id = "accuracy"', 'id = "Main claim"', "claims.0.id must be lower-case words joined by hyphens, such as "),
        ('subject = "poset"', 'subject = "max"', "claims.accuracy.baselines: the subject 'max' cannot be its own"),
        ("units = 8\n", "", "claims.accuracy.units: declare it before the status becomes 'runs'"),
    ],
)
def test_an_error_names_file_key_and_fix(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_card(tmp_path, (old, new))
    with pytest.raises(CardError) as caught:
        read_card(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"slug = ", "not readable as TOML: Invalid value"),
        (b'slug = "a"\nslug = "b"', "not readable as TOML: Cannot overwrite a value"),
        (b"\xff\xfe", "not readable as TOML: 'utf-8' codec can't decode"),
        (b"", "slug: this key is missing; add it"),
    ],
)
def test_a_file_that_is_no_card(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_card(tmp_path)
    path.write_bytes(content)
    with pytest.raises(CardError) as caught:
        read_card(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_card_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"card\.toml: not readable as TOML: .*No such file"):
        read_card(tmp_path / "card.toml")


@pytest.mark.parametrize("place", ["pooling/order-theory", "pooling/order", "filters/order_theory", "x/order_theory"])
def test_a_card_in_another_folder_is_refused(tmp_path: Path, place: str) -> None:
    path = write_card(tmp_path, place=place)
    with pytest.raises(CardError, match="slug 'order-theory' on shelf 'pooling' belongs in pooling/order_theory/"):
        read_card(path)


def test_a_relative_path_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_card(tmp_path).parent)
    assert read_card(Path("card.toml")).slug == "order-theory"


# --- all cards ----------------------------------------------------------------------------------------------------


def test_every_room_of_the_package_has_a_card_and_newest_comes_first() -> None:
    cards = load_cards()
    rooms = {path.parent for shelf in Shelf for path in (PACKAGE / shelf).glob("*/__init__.py")}
    assert {PACKAGE / card.shelf / card.folder for card in cards} == rooms
    assert [card.published for card in cards] == sorted((card.published for card in cards), reverse=True)
    assert {card.shelf for card in cards} == set(Shelf)


@pytest.mark.parametrize(
    ("changes", "place", "taken"),
    [
        (
            [('"2412.06097"', '"2412.99999"'), ('shelf = "pooling"', 'shelf = "filters"')],
            "filters/order_theory",
            "slug",
        ),
        ([('slug = "order-theory"', 'slug = "other"')], "pooling/other", "arxiv"),
    ],
)
def test_slug_and_arxiv_id_are_taken_once(
    tmp_path: Path, changes: list[tuple[str, str]], place: str, taken: str
) -> None:
    first = write_card(tmp_path)
    second = write_card(tmp_path, *changes, place=place)
    with pytest.raises(CardError) as caught:
        load_cards(tmp_path)
    value = {"slug": "order-theory", "arxiv": "2412.06097"}[taken]
    places = {f"{a}: {taken} {value!r} is taken by {b}" for a, b in ((first, second), (second, first))}
    assert str(caught.value) in places


def test_one_damaged_card_is_named_among_many(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE / "filters", tmp_path / "filters", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (tmp_path / "filters" / "deeplab" / "card.toml").write_text("x = 1")
    with pytest.raises(CardError, match=r"filters/deeplab/card\.toml: x: this key is not known"):
        load_cards(tmp_path)


def test_the_sound_cards_are_read_beside_a_damaged_one(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE / "filters", tmp_path / "filters", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    damaged = tmp_path / "filters" / "cnn_filter_db" / "card.toml"
    damaged.write_text("x = 1")
    cards, (broken,) = read_cards(tmp_path)
    assert broken == DamagedCard(damaged, f"{damaged}: {broken.problem.partition(': ')[2]}")
    assert (broken.slug, broken.shelf) == ("cnn-filter-db", Shelf.FILTERS)
    assert {card.slug for card in cards} == {card.slug for card in load_cards() if card.shelf == "filters"} - {
        "cnn-filter-db"
    }
    assert get_card("deeplab", tmp_path).slug == "deeplab"
    for name in ("cnn-filter-db", "cnn_filter_db"):
        with pytest.raises(CardError, match=r"filters/cnn_filter_db/card\.toml: x: this key is not known"):
            get_card(name, tmp_path)
    with pytest.raises(UnknownPaperError, match="did you mean 'cnn-filter-db'"):
        get_card("cnn-filter-bd", tmp_path)


def test_of_two_cards_with_one_arxiv_id_the_first_stays(tmp_path: Path) -> None:
    write_card(tmp_path, ('slug = "order-theory"', 'slug = "another"'), place="pooling/another")
    second = write_card(tmp_path)
    cards, damaged = read_cards(tmp_path)
    assert [card.slug for card in cards] == ["another"]
    assert [broken.path for broken in damaged] == [second]


def test_texts_that_are_still_to_be_written_are_found(tmp_path: Path) -> None:
    first = "A network that halves its maps with a poset filter classifies better"
    path = write_card(tmp_path, (first, f"Write here: {first}"))
    assert list(unwritten(read_card(path))) == ["claims.accuracy.sentence"]
    assert [card.slug for card in load_cards() if list(unwritten(card))] == []


def test_a_package_without_cards_has_none(tmp_path: Path) -> None:
    assert load_cards(tmp_path) == ()


# --- one card -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["order-theory", "order_theory", " Order-Theory ", "ORDER_THEORY", "2412.06097"])
def test_a_paper_has_several_names(name: str) -> None:
    assert get_card(name).slug == "order-theory"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("order-thoery", "no paper 'order-thoery'; did you mean 'order-theory'?"),
        ("poolformr", "no paper 'poolformr'; did you mean 'poolformer'?"),
        ("deep_lab", "no paper 'deep_lab'; did you mean 'deeplab'?"),
        ("qqqqqqqqq", "no paper 'qqqqqqqqq'; 'cenote papers' lists them"),
        ("", "no paper ''; 'cenote papers' lists them"),
        ("9999.99999", "no paper '9999.99999'; 'cenote papers' lists them"),
    ],
)
def test_an_unknown_paper_gets_the_nearest_suggested(name: str, hint: str) -> None:
    with pytest.raises(UnknownPaperError) as caught:
        get_card(name)
    assert str(caught.value) == hint
    assert isinstance(caught.value, LookupError)
