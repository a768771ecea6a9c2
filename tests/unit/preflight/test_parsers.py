"""The parsers against what a French Windows prints, in UTF-8 (as WinRM asks for) and in code page 850."""

from __future__ import annotations

import random
import re

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import preflight_facts as facts

NBSP, NARROW = "\u00a0", "\u202f"
ENCODINGS = ("utf-8", "cp850")

WHOAMI = (
    '"Tout le monde","Groupe bien connu","S-1-1-0","Groupe obligatoire, Activé par défaut, Groupe activé"\r\n'
    '"BUILTIN\\Administrateurs","Alias","S-1-5-32-544","Groupe obligatoire, Activé par défaut, Groupe activé,'
    ' Propriétaire du groupe"\r\n'
    '"MOULIN\\Équipe ""Paie"", bureau","Groupe","S-1-5-21-1-2-3-1107","Groupe obligatoire"\r\n'
    '"Étiquette obligatoire\\Niveau obligatoire élevé","Nom","S-1-16-12288",""\r\n'
)

REGISTRY = (
    "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\r\n"
    "    CurrentBuildNumber    REG_SZ    20348\r\n\r\n"
    "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\r\n"
    "    InstallationType    REG_SZ    Server Core\r\n\r\n"
    "\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\r\n"
    "    ProductName    REG_SZ    Windows Server 2022 Standard\r\n\r\n"
)

SUMMARY = (
    "\r\n------------------------------------------------------------------------------\r\n\r\n"
    "               Total    Copié      IgnoréDiscordance     ÉCHEC    Extras\r\n"
    "     Rép :        12        11         1         0         0         0\r\n"
    "Fichiers :       340       340         0         0         0         0\r\n"
    "  Octets : 123456789012 123456789012         0         0         0         0\r\n"
    "   Heures:   0:00:00   0:00:00                       0:00:00   0:00:00\r\n"
    "   Fin : lundi 23 novembre 2026 12:00:01\r\n\r\n"
)
NOT_THERE = (
    "2026/11/23 12:00:00 ERREUR 2 (0x00000002) Accès au répertoire source D:\\isagiwf\\\r\n"
    "Le fichier spécifié est introuvable.\r\n\r\n"
)
REFUSED_BELOW = (
    "2026/11/23 12:00:00 ERREUR 5 (0x00000005) Analyse du répertoire source D:\\isagiwf\\privé\\\r\n"
    "Accès refusé.\r\n"
)

DIRECTORY = (
    " Le volume dans le lecteur C s'appelle Système\r\n Le numéro de série du volume est 9A1B-22C3\r\n\r\n"
    " Répertoire de C:\\\r\n\r\n"
    "05/11/2026  09:12    <DIR>          Program Files\r\n"
    "05/11/2026  09:12              1234 pagefile.sys\r\n"
    "               1 fichier(s)             1234 octets\r\n"
    "               {count} Rép(s)  {free} octets libres\r\n"
)


def _narrowed(text: str, encoding: str) -> bytes:
    """As the host's console does: what the code page lacks becomes a question mark."""
    return text.encode(encoding, errors="replace")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_groups_are_told_by_their_sids(encoding: str) -> None:
    found = facts.groups(_narrowed(WHOAMI, encoding))
    assert found == {"S-1-1-0", "S-1-5-32-544", "S-1-5-21-1-2-3-1107", "S-1-16-12288"}


def test_no_answer_of_whoami_is_no_group() -> None:
    assert facts.groups(b"") == frozenset()


def test_windows_version_from_the_registry() -> None:
    assert facts.windows(REGISTRY.encode()) == facts.Windows(
        20348, "Server Core", "Windows Server 2022 Standard"
    )


def test_windows_without_values_is_unknown() -> None:
    assert facts.windows(b"ERREUR : ...\r\n") == facts.Windows(None, "", "")


@pytest.mark.parametrize(
    ("output", "version"),
    [
        (b"bsdtar 3.5.2 - libarchive 3.5.2 zlib/1.2.5.f-ipp\r\n", "3.5.2"),
        (b"tar (GNU tar) 1.34\r\n", None),
        (b"", None),
    ],
)
def test_tar_is_the_inbox_one(output: bytes, version: str | None) -> None:
    assert facts.tar(output) == version


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", ["", " ", ".", NBSP, NARROW])
def test_free_space_of_any_disk_in_any_grouping(encoding: str, separator: str) -> None:
    """A property: whatever the number and the separator of thousands, the same number comes back."""
    chance = random.Random(20261123)  # noqa: S311 -- test data, the same every time
    numbers = [0, 1, 999, 1000, 10**15] + [
        chance.randrange(10 ** chance.randrange(1, 16)) for _ in range(200)
    ]
    for number in numbers:
        free = f"{number:,}".replace(",", separator)
        output = _narrowed(DIRECTORY.format(count=chance.randrange(1, 2000), free=free), encoding)
        assert facts.free_space(output) == number, free


@pytest.mark.parametrize(
    "output", [b"", "Le système ne trouve pas le chemin d'accès 2\r\n".encode(), b"\r\n\r\n"]
)
def test_free_space_is_unknown_rather_than_wrong(output: bytes) -> None:
    assert facts.free_space(output) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_summary_of_robocopy(encoding: str) -> None:
    assert facts.tree(_narrowed(SUMMARY, encoding)) == (facts.Tree(12, 340, 123456789012), None)


def test_a_directory_that_refuses_is_counted() -> None:
    found, _ = facts.tree((REFUSED_BELOW * 2 + SUMMARY).encode())
    assert found == facts.Tree(12, 340, 123456789012, unreadable=2)


def test_a_directory_that_refuses_at_the_top_has_no_size() -> None:
    empty = re.sub(r"(?m)^(.*?:)(?: +\d+){6}", r"\1 0 0 0 0 0 0", SUMMARY).replace("0", "1", 1)
    assert facts.tree((REFUSED_BELOW + empty).encode()) == (None, 5)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_missing_directory_is_told_by_its_error_code(encoding: str) -> None:
    assert facts.tree(_narrowed(NOT_THERE, encoding)) == (None, 2)


@pytest.mark.parametrize("output", ["", SUMMARY.replace("123456789012 123456789012", "12.3 g    12.3 g")])
def test_a_summary_that_cannot_be_read_is_no_size(output: str) -> None:
    assert facts.tree(output.encode()) == (None, None)


def _row(title: str, numbers: list[int], width: int, separator: str) -> str:
    """A summary row as robocopy writes it: right-aligned columns that large numbers overflow."""
    shown = (f"{number:,}".replace(",", separator) for number in numbers)
    return f"{title:>8} :" + "".join(f"{number:>{width}}" for number in shown) + "\r\n"


LAYOUTS = [(10, ""), (11, ""), (20, " "), (20, NBSP), (20, NARROW), (20, ".")]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("width", "separator"), LAYOUTS)
def test_summaries_of_any_size_with_exclusions(encoding: str, width: int, separator: str) -> None:
    """A property: files and bytes are total less skipped, glued or grouped as the columns may be."""
    chance = random.Random(20261123)  # noqa: S311 -- test data, the same every time
    for _ in range(200):
        rows = []
        for title in ("Rép", "Fichiers", "Octets"):
            copied, skipped = (chance.randrange(10 ** chance.randrange(1, 14)) for _ in range(2))
            copied += 2 * (title == "Rép")
            rows.append((title, [copied + skipped, copied, skipped, 0, 0, 0]))
        text = "".join(_row(title, numbers, width, separator) for title, numbers in rows)
        found, _ = facts.tree(_narrowed(text, encoding))
        assert found == facts.Tree(rows[0][1][0], rows[1][1][1], rows[2][1][1]), text


@pytest.mark.parametrize(
    ("output", "exit_code", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\nDate: x\r\n\r\n", 0, 404),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/2 401 \r\n\r\n", 0, 401),
        (b"curl: (7) Failed to connect\r\n", 7, None),
        (b"HTTP/1.1 200 Connection established\r\n\r\ncurl: (60) SSL\r\n", 60, 200),
        (b"'curl.exe' n'est pas reconnu", None, None),
    ],
)
def test_way_to_the_repository(output: bytes, exit_code: int | None, status: int | None) -> None:
    assert facts.way(output, "system") == facts.Way(exit_code, status, "system", signed_in=False)


@pytest.mark.parametrize(
    ("on_host", "wanted", "trust"),
    [
        (b"", "", "system"),
        (b"", "-----BEGIN\nAAAA\n", "none"),
        (b"-----BEGIN\r\nAAAA\r\n", "-----BEGIN\nAAAA", "contract"),
        (b"-----BEGIN\r\nBBBB\r\n", "-----BEGIN\nAAAA\n", "outdated"),
    ],
)
def test_who_vouches_for_the_certificate(on_host: bytes, wanted: str, trust: str) -> None:
    assert facts.trust(on_host, wanted) == trust


@pytest.mark.parametrize(
    ("status", "done"),
    [
        (b'{"exit_code": 0}', True),
        (b'{"exit_code": 3}', True),
        (b'{"exit_code": 1}', False),
        (b"", False),
        (b"[]", False),
    ],
)
def test_a_backup_was_made(status: bytes, done: bool) -> None:
    assert facts.backed_up(status) is done
