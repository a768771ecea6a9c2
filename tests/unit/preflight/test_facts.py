"""The parsers against what a French Windows prints, in UTF-8 (as WinRM asks for) and in code page 850."""

from __future__ import annotations

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import facts
from support.console import ENCODINGS, narrowed

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


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_groups_are_told_by_their_sids(encoding: str) -> None:
    found = facts.groups(narrowed(WHOAMI, encoding))
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


MAPPED = (
    "\r\nHKEY_USERS\\S-1-5-21-1-2-3-1107\\Network\\I\r\n"
    "    ProviderName    REG_SZ    Microsoft Windows Network\r\n"
    "    RemotePath    REG_SZ    \\\\nas été\\isa data\r\n    UserName    REG_SZ    \r\n"
    "\r\nHKEY_USERS\\S-1-5-21-1-2-3-1108\\Network\\z\r\n    RemotePath    REG_SZ    \\\\srv2\\z\r\n\r\n"
)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_network_drives_from_the_users_registry(encoding: str) -> None:
    assert facts.mapped(narrowed(MAPPED, encoding)) == {"I": "\\\\nas été\\isa data", "Z": "\\\\srv2\\z"}
    assert facts.mapped(b"") == {}


def test_the_memory_of_a_shell() -> None:
    answer = b'Winrs\r\n    MaxProcessesPerShell = 25\r\n    MaxMemoryPerShellMB = 150 [Source="GPO"]\r\n'
    assert facts.shell_memory(answer) == 150
    assert facts.shell_memory(b"Erreur WSManFault") is None


START = "    Start    REG_DWORD    0x{}\r\n"


@pytest.mark.parametrize(
    ("service", "excluded", "defended"),
    [
        ("", "", False),
        (START.format(4), "", False),
        (START.format(2), "", True),
        (START.format(2), "    C:\\program files\\ProSecours    REG_DWORD    0x0\r\n", False),
        (START.format(2), "    C:\\Program Files    REG_SZ    0\r\n", False),
        (START.format(2), "    C:\\Program Files\\Pro    REG_DWORD    0x0\r\n", True),
    ],
)
def test_defender_and_what_it_leaves_alone(service: str, excluded: str, defended: bool) -> None:
    folder = r"C:\Program Files\ProSecours"
    assert facts.defended(service.encode(), excluded.encode(), folder) is defended
