from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cenote.catalog import fingerprint as fingerprints
from cenote.catalog import load_cards
from cenote.catalog.card import Card
from cenote.catalog.fingerprint import fingerprint, is_stale, kept_fingerprints
from cenote.catalog.results import Hashes

from .test_results import make_result

CLAIM: dict[str, Any] = {
    "id": "gain",
    "sentence": "Poset pooling is more accurate than max pooling.",
    "kind": "better",
    "metric": "accuracy",
    "subject": "poset",
    "baselines": ("max",),
    "margin": 0.3,
    "figure": 0.6,
    "units": 8,
    "data": ("cifar10",),
}

CARD: dict[str, Any] = {
    "slug": "my-paper",
    "title": "My Paper",
    "shelf": "pooling",
    "status": "runs",
    "arxiv": "2412.06097",
    "published": "2024-12-08",
    "authors": 5,
    "summary": "Pools a window by the best up-set of a partial order. " * 5,
    "topics": ("pooling", "posets"),
    "claims": (CLAIM,),
    "example": "assert True",
}

METHOD = '''"""What it does."""

from __future__ import annotations

import torch

from cenote.pooling.windows import size  # of the shelf


class Pool:
    """Pools."""

    factor = 2.0
    """How much."""

    def __call__(self, x):
        """Pool x."""
        return x / (self.factor + size())  # not zero
'''

MODULES = {
    "pooling/my_paper/__init__.py": 'from cenote.pooling.my_paper.method import Pool\n\n__all__ = ["Pool"]\n',
    "pooling/my_paper/method.py": METHOD,
    "pooling/my_paper/experiment.py": '"""Runs."""\nfrom cenote.pooling.my_paper import Pool, names, pictures\n'
    "EPOCHS = 6\n",
    "pooling/my_paper/names.py": 'NAME = "N"\n',
    "pooling/my_paper/theory.py": "POINTS = 4\n",
    "pooling/my_paper/pictures.py": "COLOUR = 1\n",
    "pooling/my_paper/commands.py": "WIDTH = 1\n",
    "pooling/__init__.py": "ORDER = 1\n",
    "pooling/windows.py": "from cenote.filters.other.kernels import SIZE\n\ndef size():\n    return SIZE\n",
    "pooling/rival/__init__.py": 'from cenote.pooling.rival.method import Rival\n\n__all__ = ["Rival"]\n',
    "pooling/rival/method.py": "RIVAL = 1\n",
    "filters/other/__init__.py": "ORDER = 1\n",
    "filters/other/kernels.py": "SIZE = 3\n",
    "filters/other/experiment.py": "EPOCHS = 3\n",
    "lab/training.py": "RATE = 1\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with one paper, the shelf's shared module, and two other papers."""
    for name, text in MODULES.items():
        write(tmp_path, name, text)
    return tmp_path


def write(package: Path, name: str, text: str) -> None:
    path = package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def replace(package: Path, name: str, old: str, new: str) -> None:
    text = (package / name).read_text(encoding="utf-8")
    assert old in text
    write(package, name, text.replace(old, new))


def make_card(**changes: Any) -> Card:
    return Card.model_validate(CARD | {"claims": (CLAIM | changes,)})


Changed = Callable[[Callable[[], object]], set[str]]


@pytest.fixture
def changed(package: Path) -> Changed:
    """Which hashes an action changes."""

    def compare(action: Callable[[], object]) -> set[str]:
        before = fingerprint(make_card(), package)
        action()
        after = fingerprint(make_card(), package)
        return {name for name in Hashes.model_fields if getattr(before, name) != getattr(after, name)}

    return compare


# --- what counts of a module --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# not zero", "# never zero, since the size is positive"),
        ("  # of the shelf", ""),
        ('"""Pool x."""', '"""Pool the tensor x.\n\n        Shapes: (N,).\n        """'),
        ('        """Pool x."""\n', ""),
        ('"""What it does."""\n', ""),
        ('    """How much."""\n', ""),
        ("x / (self.factor + size())", "(x\n            / (self.factor + size( )))"),
        ("2.0", "2.00"),
        ("\n\n\nclass", "\nclass"),
        ("    ", "  "),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(package: Path, changed: Changed, old: str, new: str) -> None:
    assert changed(lambda: replace(package, "pooling/my_paper/method.py", old, new)) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [("2.0", "2.5"), ("x / (self", "x * (self"), ("self.factor + size()", "size()"), ("class Pool", "class Pooling")],
)
def test_code_of_the_method_counts(package: Path, changed: Changed, old: str, new: str) -> None:
    assert changed(lambda: replace(package, "pooling/my_paper/method.py", old, new)) == {"method"}


def test_a_text_that_is_used_counts(package: Path, changed: Changed) -> None:
    assert changed(lambda: replace(package, "pooling/my_paper/names.py", '"N"', '"V"')) == {"method"}


def test_a_function_left_with_its_docstring_alone_is_a_function_still(package: Path, changed: Changed) -> None:
    write(package, "pooling/my_paper/names.py", 'def stub():\n    """Does nothing."""\n')
    assert changed(lambda: write(package, "pooling/my_paper/names.py", "def stub():\n    pass\n")) == set()


def test_the_hash_does_not_depend_on_the_version_of_python(package: Path) -> None:
    # From 3.12 on, ast.unparse quotes inside the braces of an f-string as it does outside. The digest is the one that
    # 3.11, 3.12 and 3.13 gave.
    source = r"""
def name(d, x, w):
    a = f"{d['key']} and {', '.join(x)}"
    b = f"{d['key']!r:>{w['a']}}" + f"'{d['key']}'" + f"plain {x:.3f} {w=}" + f"{x:'>4}"
    c = f"{f'{x}'} and {d['a'] + f'{x:{w}}'}" + f'{d["a"] + "it" + x}' + f"it's {d['a']}"
    return f"{x!r}\n", b"\x00'", f"{d['a']} \"quoted\" '{x}'", f'{d["a"]}\n', f"{{{x}}}"
"""
    write(package, "pooling/my_paper/names.py", source)
    for name in ("experiment.py", "theory.py"):
        (package / "pooling/my_paper" / name).unlink()
    assert (
        fingerprint(make_card(), package).method == "a87fc6cc5eacfd91813471ff57c04868a04d016e4394d0ff25900dabe678e9c9"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [("""f"{d['a']}" """, """f'{d["a"]}'"""), ("""f'{d["a"]:>{w["b"]}}'""", '''f"""{d['a']:>{w['b']}}"""''')],
)
def test_the_quotes_of_an_f_string_do_not_count(package: Path, changed: Changed, one: str, other: str) -> None:
    write(package, "pooling/my_paper/names.py", f"def name(d, w):\n    return {one}\n")
    assert (
        changed(lambda: write(package, "pooling/my_paper/names.py", f"def name(d, w):\n    return {other}\n")) == set()
    )


@pytest.mark.parametrize(
    ("old", "new"), [("['a']", "['b']"), ("!r", "!s"), (":>4", ":>5"), ("is ", "was "), ("{w['k']}", "{w['l']}")]
)
def test_what_an_f_string_says_counts(package: Path, changed: Changed, old: str, new: str) -> None:
    text = """def name(d, w):\n    return f"is {d['a']!r:>4} or {d:{w['k']}}"\n"""
    write(package, "pooling/my_paper/names.py", text)
    assert changed(lambda: replace(package, "pooling/my_paper/names.py", old, new)) == {"method"}


# --- which modules count ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hashes"),
    [
        ("pooling/my_paper/experiment.py", {"experiment"}),
        ("pooling/windows.py", {"method"}),  # imported by the method
        ("filters/other/kernels.py", {"method"}),  # imported by what the method imports
        ("pooling/my_paper/theory.py", set()),  # not reached by the experiment
        ("pooling/my_paper/pictures.py", set()),
        ("pooling/my_paper/commands.py", set()),
        ("filters/other/experiment.py", set()),
        ("pooling/rival/method.py", set()),
        ("lab/training.py", set()),
    ],
)
def test_a_changed_number_counts_where_the_module_is_used(
    package: Path, changed: Changed, name: str, hashes: set[str]
) -> None:
    assert changed(lambda: write(package, name, (package / name).read_text() + "CHANGED = 1\n")) == hashes


def test_a_new_module_of_the_paper_counts_once_the_method_imports_it(package: Path, changed: Changed) -> None:
    method = package / "pooling/my_paper/method.py"
    assert changed(lambda: write(package, "pooling/my_paper/more.py", "MORE = 1\n")) == set()
    method.write_text(method.read_text() + "from cenote.pooling.my_paper.more import MORE\n")
    assert changed(lambda: write(package, "pooling/my_paper/more.py", "MORE = 2\n")) == {"method"}


def test_what_only_pictures_import_does_not_count(package: Path, changed: Changed) -> None:
    write(package, "pooling/my_paper/pictures.py", "from cenote.pooling.my_paper.theory import POINTS\n")
    assert changed(lambda: replace(package, "pooling/my_paper/theory.py", "4", "5")) == set()


def test_a_module_imported_from_its_package_leaves_the_packages_names_out(package: Path, changed: Changed) -> None:
    write(package, "pooling/my_paper/experiment.py", "from cenote.pooling.my_paper import names\n")
    assert changed(lambda: replace(package, "pooling/my_paper/method.py", "2.0", "3.0")) == set()
    assert changed(lambda: replace(package, "pooling/my_paper/names.py", '"N"', '"V"')) == {"method"}


def test_without_an_experiment_every_module_of_the_paper_counts(package: Path, changed: Changed) -> None:
    (package / "pooling/my_paper/experiment.py").unlink()
    assert changed(lambda: replace(package, "pooling/my_paper/theory.py", "4", "5")) == {"method"}


def test_a_module_under_another_name_counts(package: Path, changed: Changed) -> None:
    def rename() -> None:
        method = package / "pooling/my_paper/method.py"
        method.rename(method.with_name("pool.py"))
        replace(package, "pooling/my_paper/__init__.py", "my_paper.method", "my_paper.pool")

    assert changed(rename) == {"method"}


@pytest.mark.parametrize(
    "imports",
    [
        "from cenote.pooling.rival.method import RIVAL",
        "from cenote.pooling.rival import method",
        "import cenote.pooling.rival.method as rival",
        "from cenote.pooling.rival import Rival",
        "from cenote.pooling import Rival",
        "from cenote.pooling import rival",
        "from ..rival.method import RIVAL",
        "from ..rival import method",
        "from .. import rival",
        "def late():\n    from cenote.pooling.rival.method import RIVAL",
    ],
)
@pytest.mark.parametrize(("importer", "hashes"), [("method.py", {"method"}), ("experiment.py", {"experiment"})])
def test_another_paper_counts_however_it_is_imported(
    package: Path, changed: Changed, imports: str, importer: str, hashes: set[str]
) -> None:
    write(package, f"pooling/my_paper/{importer}", f"from cenote.pooling.my_paper import method\n{imports}\n")
    assert changed(lambda: write(package, "pooling/rival/method.py", "RIVAL = 2\n")) == hashes


def test_what_method_and_experiment_both_use_counts_once(package: Path, changed: Changed) -> None:
    both = "from cenote.pooling.my_paper.method import Pool\nfrom cenote.pooling.windows import size\n"
    write(package, "pooling/my_paper/experiment.py", both)
    assert changed(lambda: replace(package, "pooling/windows.py", "return SIZE", "return SIZE + 1")) == {"method"}


def test_modules_that_import_each_other_are_followed_once(package: Path, changed: Changed) -> None:
    write(package, "filters/other/kernels.py", "from cenote.pooling.windows import size\nSIZE = 3\n")
    assert changed(lambda: replace(package, "filters/other/kernels.py", "3", "4")) == {"method"}


def test_a_paper_without_an_experiment_has_hashes_all_the_same(package: Path) -> None:
    (package / "pooling/my_paper/experiment.py").unlink()
    assert fingerprint(make_card(), package).experiment == hashlib.sha256().hexdigest()


# --- claims -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "counts"),
    [
        ("sentence", "Poset pooling classifies better than max pooling.", False),
        ("note", "On signed input.", False),
        ("figure_text", "77.2 against 76.6", False),
        ("margin", 0.3000001, True),
        ("units", 9, True),
        ("baselines", ("average",), True),
        ("metric", "mAP", True),
        ("kind", "no_worse", True),
        ("lower_is_better", True, True),
        ("first_seed", 8, True),
        ("data", ("cifar10", "mnist-5k"), True),
        ("quantifier", "any", True),
        ("id", "more", True),
    ],
)
def test_what_a_claim_is_judged_by_counts_and_its_wording_does_not(
    package: Path, key: str, value: object, counts: bool
) -> None:
    before, after = (fingerprint(card, package) for card in (make_card(), make_card(**{key: value})))
    assert (before.claims != after.claims) is counts
    assert (before.method, before.experiment) == (after.method, after.experiment)


def test_facts_of_the_card_do_not_count(package: Path) -> None:
    other = Card.model_validate(CARD | {"title": "Another Title", "venue": "ICML", "authors": 6, "topics": ("a", "b")})
    assert fingerprint(other, package) == fingerprint(make_card(), package)


# --- stale results ------------------------------------------------------------------------------------------------


def test_a_result_is_stale_when_one_of_its_hashes_changed(package: Path) -> None:
    card = make_card()
    result = make_result(hashes=fingerprint(card, package))
    assert not is_stale(card, result, package)
    assert is_stale(make_card(units=9), result, package)
    replace(package, "filters/other/kernels.py", "3", "4")
    assert is_stale(card, result, package)


def test_every_paper_of_the_package_has_a_fingerprint_of_its_own() -> None:
    hashes = [fingerprint(card) for card in load_cards()]
    assert len({each.claims for each in hashes}) == len(hashes)
    assert len({each.method for each in hashes}) == len(hashes)


# --- kept hashes --------------------------------------------------------------------------------------------------


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The slugs of the cards whose modules were parsed."""
    slugs: list[str] = []

    def noted(card: Card, package: Path) -> Hashes:
        slugs.append(card.slug)
        return fingerprint(card, package)

    monkeypatch.setattr(fingerprints, "fingerprint", noted)
    return slugs


def test_kept_hashes_are_those_of_the_package_and_are_made_once(package: Path, parsed: list[str]) -> None:
    file = package / "kept.json"
    for _ in range(3):
        assert kept_fingerprints([make_card()], file, package) == {"my-paper": fingerprint(make_card(), package)}
    assert parsed == ["my-paper"]
    other = make_card().model_copy(update={"slug": "another"})  # published since
    assert set(kept_fingerprints([make_card(), other], file, package)) == {"my-paper", "another"}
    assert parsed == ["my-paper", "my-paper", "another"]


@pytest.mark.parametrize(
    "change",
    [
        lambda package: replace(package, "pooling/my_paper/method.py", "2.0", "3.0"),
        lambda package: write(package, "pooling/my_paper/card.toml", "slug = 1"),
        lambda package: write(package, "pooling/late/__init__.py", ""),
        lambda package: (package / "pooling/rival/method.py").rename(package / "pooling/rival/moved.py"),
        lambda package: (package / "kept.json").write_text('{"package": 1}'),
        lambda package: (package / "kept.json").write_bytes(b"\xff{"),
        lambda package: (package / "kept.json").unlink(),
    ],
)
def test_hashes_are_made_again_where_anything_changed(
    package: Path, parsed: list[str], change: Callable[[Path], object]
) -> None:
    file = package / "kept.json"
    kept_fingerprints([make_card()], file, package)
    change(package)
    assert kept_fingerprints([make_card()], file, package) == {"my-paper": fingerprint(make_card(), package)}
    assert kept_fingerprints([make_card()], file, package) == {"my-paper": fingerprint(make_card(), package)}
    assert parsed == ["my-paper", "my-paper"]


def test_hashes_that_cannot_be_kept_are_made_each_time(package: Path, parsed: list[str]) -> None:
    file = package / "no such folder" / "kept.json"
    for _ in range(2):
        assert kept_fingerprints([make_card()], file, package) == {"my-paper": fingerprint(make_card(), package)}
    assert parsed == ["my-paper", "my-paper"]
