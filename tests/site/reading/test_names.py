from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.site.accents import without_accents_in_tex
from cenote.site.reading.names import full_name, split_authors, turn_around


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A, B and C", ["A", "B", "C"]),
        ("A, B, and C", ["A", "B", "C"]),
        ("A and B", ["A", "B"]),
        ("A; B; C", ["A", "B", "C"]),
        ("A & B", ["A", "B"]),
        ("Alexander Sandor, Anders Andersson, Leland Band", ["Alexander Sandor", "Anders Andersson", "Leland Band"]),
        ("A. Lee, M. L. King, Jr., B. Wu", ["A. Lee", "M. L. King Jr.", "B. Wu"]),
        ("J. Smith Jr, K. Doe, III", ["J. Smith Jr", "K. Doe III"]),
        ("Ivan Ivanov, Iv Li", ["Ivan Ivanov", "Iv Li"]),
        ("A. Lee (MIT), B. Wu (Pond U., Dept. of Ponds and Lakes)", ["A. Lee", "B. Wu"]),
        ("A. Lee (1), B. Wu (2) ((1) MIT, (2) Pond U. (Lake))", ["A. Lee", "B. Wu"]),
        ("A. Lee (MIT, B. Wu", ["A. Lee"]),
        ("A. Lee), B. Wu", ["A. Lee", "B. Wu"]),
        ("ATLAS Collaboration: A. Lee, B. Wu", ["ATLAS Collaboration", "A. Lee", "B. Wu"]),
        ("INDIGO Collaboration, :, A. Lee", ["INDIGO Collaboration", "A. Lee"]),
        ("A. Lee, and, B. Wu,, C. Doe, and", ["A. Lee", "B. Wu", "C. Doe"]),
        ("A. Lee, B. Wu et al., others", ["A. Lee", "B. Wu et al."]),
        ("A. Lee, et al.", ["A. Lee"]),
        ('P. Erd\\H{o}s,\n  Kurt G{\\"o}del, M.~Margu{č}', ["P. Erdős", "Kurt Gödel", "M. Marguč"]),
        ("王小明 and Zoë Müller", ["王小明", "Zoë Müller"]),
        ("", []),
        (" , and ; ", []),
        ("Jr.", ["Jr."]),
    ],
)
def test_lists_of_authors(text: str, names: list[str]) -> None:
    assert list(split_authors(text)) == names


NAME = st.text(string.ascii_letters, min_size=5, max_size=12).map(str.capitalize)


@given(st.lists(NAME, min_size=1, max_size=6), st.sampled_from([", ", " and ", "; ", ",\n ", ", and "]))
def test_names_put_together_come_apart(names: list[str], between: str) -> None:
    assert list(split_authors(between.join(names))) == names


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("Zoë", "Müller", ""), "Zoë Müller"),
        (("Martin Luther", "King", "Jr."), "Martin Luther King Jr."),
        (("", "ATLAS Collaboration", ""), "ATLAS Collaboration"),
        (("C.", '{K\\"onig}', ""), "C. König"),
        (("", "", ""), ""),
    ],
)
def test_names_from_their_parts(parts: tuple[str, str, str], name: str) -> None:
    assert full_name(*parts) == name


def test_names_are_turned_around() -> None:
    assert turn_around("Lee, Ann") == "Ann Lee"
    assert turn_around("Lee") == "Lee"
    assert turn_around("") == ""


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\'a \`a \^a \"a \~a \=a \.z", "á à â ä ã ā ż"),
        (r"\'{e} \' e {\'e} \'\i \'{\i} \v{s} \v s \c c \k{a} \H{o} \u{g} \r{a} \d{t}", "é é é íí š š ç ą ő ğ å ṭ"),
        (r"{\ss} \o{} \L{}od\'z {\ae} \l ukasz \AA ngstr\"om", "ß ø Łodź æ łukasz Ångström"),
        (r"Simon \& Garfunkel 50\% a\_b", "Simon & Garfunkel 50% a_b"),
        (r"$\tilde{O}(n)$ and \~n, $\v{x}$", r"$\tilde{O}(n)$ and ñ, $\v{x}$"),
        (r"costs \$5, na\"\i ve", r"costs \$5, naïve"),
        (r"\cite{x} \textbf{bold} \dots \omega \log", r"\cite{x} \textbf{bold} \dots \omega \log"),
        ("no accents {here}", "no accents {here}"),
        ("\\", "\\"),
        (r"an open $ and G\"odel", r"an open $ and Gödel"),
    ],
)
def test_accents_in_tex(tex: str, text: str) -> None:
    assert without_accents_in_tex(tex) == text
