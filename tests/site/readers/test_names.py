"""Names of readers: what is kept of them, and what nobody may be called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.errors import ArgumentError
from cenote.site.readers.names import LONGEST, RESERVED, name_key, neutral_name, read_name


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  Ada   Lovelace\n", "Ada Lovelace"),
        ("王小明", "王小明"),
        ("Zoe\u0308", "Zoë"),
        ("x" * LONGEST, "x" * LONGEST),
        ("R2-D2", "R2-D2"),
        ("Анна", "Анна"),
        ("<b>Bo</b>", "<b>Bo</b>"),
        ("Badminton fan", "Badminton fan"),
        ("Unofficial Cooperator", "Unofficial Cooperator"),
        ("reader of maps", "reader of maps"),
        ("Reader Ada", "Reader Ada"),
        ("นี่คือชื่อ", "นี่คือชื่อ"),
    ],
)
def test_kept(written: str, kept: str) -> None:
    assert read_name(written) == kept


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "1 to 60 characters, got 0"),
        (" \n ", "got 0"),
        ("x" * 61, "got 61"),
        ("a\u200bb", "cannot be seen"),
        ("a\u202eb", "cannot be seen"),
        ("a\x00b", "cannot be seen"),
        ("\udcff", "cannot be seen"),
        ("…—…", "a letter or a digit"),
        ("Z\u0335\u0336\u0337algo", "at most 2 marks on a letter"),
        ("reader-4f00", "look like one that the site gives"),
        ("Reader 4f00ab", "look like one that the site gives"),
        ("r\u0435ader-4f00", "look like one that the site gives"),
    ],
)
def test_refused(written: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=f"^name must .*{said}"):
        read_name(written)


@pytest.mark.parametrize(
    "written",
    ["operator", "The Operator", "0perator", "ореrator", "o.p.e.r.a.t.o.r", "ＯＰＥＲＡＴＯＲ", "opérator", "Adm1n",
     "ADMIN", "аdmin", "@dmin", "admın", "cenote", "Cenote team", "c e n o t e", "Сеnоtе", "m0derator", "0fficial",
     "SiteAdmin", "the o.p.e.r.a.t.o.r", "Operators", "cenote's", "site_admin", "admin42", "Operator 2"],
)  # fmt: skip
def test_nobody_passes_for_an_operator(written: str) -> None:
    with pytest.raises(ArgumentError, match="runs the site"):
        read_name(written)


@given(st.text(max_size=80))
def test_what_is_kept_is_kept_as_it_is(written: str) -> None:
    try:
        name = read_name(written)
    except ArgumentError:
        return
    assert read_name(name) == name
    assert 1 <= len(name) <= LONGEST
    assert name.isprintable()
    assert not set(RESERVED) & set(name.casefold().split())


def test_nobody_chooses_a_name_that_the_site_gives() -> None:
    for _ in range(200):
        with pytest.raises(ArgumentError, match="the site gives"):
            read_name(neutral_name())


@pytest.mark.parametrize(("one", "other"), [("ADA", "ada"), ("Straße", "STRASSE"), ("Ａｄａ", "Ada"), ("ﬁn", "Fin")])
def test_names_that_differ_in_writing_alone_are_one(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)
