"""Windows paths: what is legal, what is the same, what lies inside."""

from __future__ import annotations

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import paths
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters='<>:"|?*%\\/'), min_size=1, max_size=40
).filter(lambda name: name[-1] not in " ." and not paths.RESERVED.fullmatch(name))
PATHS = st.builds(
    lambda drive, names: f"{drive}:\\" + "\\".join(names),
    st.sampled_from("CDIcdi"),
    st.lists(NAMES, max_size=6),
)
BELOW = st.lists(NAMES, min_size=1, max_size=3)


@given(PATHS)
def test_legal_paths_are_legal_and_normalising_is_idempotent(path: str) -> None:
    assert paths.problem(path) is None
    normal = paths.normalise(path)
    assert paths.normalise(normal) == normal
    assert paths.problem(normal) is None
    assert paths.same(path, normal)


@given(PATHS)
def test_separators_and_the_trailing_one_do_not_count(path: str) -> None:
    assert paths.normalise(path.replace("\\", "/") + "//") == paths.normalise(path)


@given(PATHS, BELOW)
def test_what_is_below_is_inside_and_never_the_other_way(path: str, names: list[str]) -> None:
    inner = path.rstrip("\\") + "\\" + "\\".join(names)
    assert paths.inside(inner, path)
    assert not paths.inside(path, inner)
    assert not paths.same(path, inner)


@given(PATHS, PATHS, PATHS)
def test_inside_is_an_order(a: str, b: str, c: str) -> None:
    assert paths.inside(a, a)
    if paths.inside(a, b) and paths.inside(b, a):
        assert paths.same(a, b)
    if paths.inside(a, b) and paths.inside(b, c):
        assert paths.inside(a, c)


@given(PATHS, NAMES)
def test_a_longer_name_is_not_inside_a_shorter_one(path: str, name: str) -> None:
    base = path.rstrip("\\") + "\\" + name
    assert not paths.inside(base + "x", base)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (r"D:\Données", r"d:\DONNÉES", True),
        (r"D:\Données", r"D:\Donnees", False),
        (r"D:\straße", r"D:\STRASSE", False),
        (r"D:\ı", r"D:\I", False),
        (r"D:\a\\b/", r"D:\A\B", True),
    ],
)
def test_case_does_not_count_and_accents_do(one: str, other: str, same: bool) -> None:
    assert paths.same(one, other) is same


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "empty"),
        ("Bureautique", "relative"),
        (r"D:Bureautique", "relative"),
        (r"\Bureautique", "relative"),
        ("/mnt/data", "relative"),
        ("D:", "not its root"),
        (r"\\serveur\partage", "UNC"),
        ("//serveur/partage", "UNC"),
        (r"\\?\D:\x", "UNC"),
        ("D:\\a\b", "control"),
        ("D:\\a\nb", "control"),
        (r"D:\a<b", "holds <"),
        (r"D:\a?*", "holds * ?"),
        (r"D:\a:b", "holds :"),
        ('D:\\a"b', 'holds "'),
        (r"D:\%TEMP%", "%"),
        (r"D:\a\..\b", '".."'),
        (r"D:\.\b", '"."'),
        (r"D:\a \b", "ends with a space"),
        (r"D:\a.", "ends with a dot"),
        (r"D:\con", "device"),
        (r"D:\x\NUL.txt", "device"),
        (r"D:\LPT¹", "device"),
        ("D:\\" + "a" * 256, "255"),
        ("D:" + "\\abcdefghi" * 3300, "32767"),
    ],
)
def test_what_windows_refuses_is_said_with_a_remedy(path: str, words: str) -> None:
    found = paths.problem(path)
    assert found
    assert words in found.what
    assert found.remedy


@pytest.mark.parametrize(
    "path",
    [
        "D:\\",
        "d:/",
        r"D:\isacowp.gi",
        r"D:\Élevage & cultures (2026) ^ l'été !",
        r"D:\COM10",
        r"D:\console",
        "D:\\" + "\\".join(["a" * 250] * 3),
        r"D:\[brouillon]~$",
    ],
)
def test_what_windows_allows_is_allowed(path: str) -> None:
    assert paths.problem(path) is None


def test_wildcards_are_for_the_last_name_of_a_pattern() -> None:
    assert paths.problem(r"D:\isagiwf\B????.GIW", pattern=True) is None
    assert paths.problem(r"D:\isa*\B????.GIW", pattern=True)
    assert paths.problem(r"D:\isagiwf\B????.GIW")


@pytest.mark.parametrize(
    ("path", "directory", "inside"),
    [
        (r"D:\isagiwf\B????.GIW", r"D:\isagiwf", True),
        (r"D:\isagiwf\B????.GIW", r"D:\isagiwf\backup", False),
        (r"D:\isagiwf\backup", r"D:\isagiwf\B????.GIW", False),
        (r"D:\isagiwf\b0001.giw", r"D:\isagiwf\B????.GIW", True),
        (r"D:\isagiwf\B????.GIW", "D:\\", True),
        (r"D:\[x]", r"D:\[?]", True),
    ],
)
def test_patterns_hold_what_they_match(path: str, directory: str, inside: bool) -> None:
    assert paths.inside(path, directory) is inside
