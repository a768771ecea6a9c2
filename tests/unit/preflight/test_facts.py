"""The parsers against what a French Windows prints, in UTF-8 (as WinRM asks for) and in code page 850."""

from __future__ import annotations

import time

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


LISTED = (
    "vssadmin 1.1 - Outil ligne de commande d'administration du service de cliché instantané de volume\r\n"
    "(C) Copyright 2001-2013 Microsoft Corp.\r\n\r\n"
    "Nom du rédacteur : « System Writer »\r\n"
    "   ID du rédacteur : {e8132975-6f93-4464-a53e-1050253ae220}\r\n"
    "   ID d’instance du rédacteur : {b1c47cec-0e12-4ac6-b84b-9c1d8292a9f3}\r\n"
    "   État\xa0: [9] Échec\r\n"
    "   Dernière erreur\xa0: Délai dépassé\r\n\r\n"
    "Nom du rédacteur : « Base de l’été: 2 [7] »\r\n"
    "   ID du rédacteur : {542DA469-D3E1-473C-9F4F-7847F01FC64F}\r\n"
    "   ID d’instance du rédacteur : {6162e336-7448-4371-93a7-29581512b103}\r\n"
    "   État\xa0: [1] Stable\r\n"
    "   Dernière erreur\xa0: Aucune erreur\r\n\r\n"
)
PUBLISHED = (
    b"Writer name: 'Microsoft Hyper-V VSS Writer'\r\n"
    b"   Writer Id: {66841cd4-6ded-4f4b-8f17-fd23f8ddc3de}\r\n"
    b"   Writer Instance Id: {6162e336-7448-4371-93a7-29581512b103}\r\n"
    b"   State: [8] Failed\r\n"
    b"   Last error: Inconsistent shadow copy\r\n\r\n"
)
"""As a user of an English server showed it: gilkirkpatrick.com, on error 0x800423f0."""


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\r\n", "\r\r\n", "\n"])
def test_writers_by_the_numbers_of_their_states(encoding: str, end: str) -> None:
    system, other = facts.writers(narrowed(LISTED.replace("\r\n", end), encoding))
    assert system == ("System Writer", 9)
    assert (other.name, other.state) == (narrowed("Base de l’été: 2 [7]", encoding).decode(encoding), 1)
    assert facts.writers(PUBLISHED) == (("Microsoft Hyper-V VSS Writer", 8),)


@pytest.mark.parametrize(
    "answer", [b"", b"Erreur : le service ne peut pas \x88tre d\x82marr\x82 [9].\r\n", bytes(range(256)) * 40]
)
def test_what_is_no_list_of_writers_is_none(answer: bytes) -> None:
    assert facts.writers(answer) == ()


def test_what_a_server_calls_its_writers_is_cut_and_fit_to_be_read() -> None:
    hostile = LISTED.replace("System Writer", "\x1b[2J\u202e" + "a" * 5000)
    (name, state), _ = facts.writers(hostile.encode())
    assert (name, state) == ("<U+001B>[2J<U+202E>" + "a" * 35, 9)
    nameless = LISTED.replace("« System Writer »", "")
    assert facts.writers(nameless.encode())[0].name == "{e8132975-6f93-4464-a53e-1050253ae220}"
    for flood in (
        LISTED * 100_000,
        "{" * 10**6,
        "[9]\n" * 10**6,
        LISTED.split("État")[0] * 10**4,
        "\n" * 10**6,
    ):
        began = time.process_time()
        assert len(facts.writers(flood.encode())) <= 300
        assert time.process_time() - began < 1


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
