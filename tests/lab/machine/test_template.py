"""The template of Wine hosts, as far as it can be tried without making one."""

from __future__ import annotations

from pathlib import Path

import pytest

from windows_lab.errors import LabError
from windows_lab.machine import template


def entry(name: str) -> bytes:
    return name.encode("utf-16-le").ljust(20, b"\0")


def test_type_is_taken_out_of_cmd() -> None:
    program = b"MZ" + template.BUILTIN + entry("TITLE") + entry("TYPE") + entry("VERIFY") + entry("FTYPE")
    made = template._without_type(program)
    assert len(made) == len(program)
    assert template.BUILTIN not in made
    assert entry("TYPE") not in made.replace(entry("FTYPE"), b"")
    assert entry("FTYPE") in made


def test_another_cmd_is_told() -> None:
    with pytest.raises(LabError, match="another table"):
        template._without_type(b"MZ")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# a\ndeb https://mirror.example/debian bookworm main\n"),
        ("debian.sources", "Types: deb\nURIs: https://mirror.example/debian\nSuites: bookworm\n"),
    ],
)
def test_newer_packages_come_from_the_same_mirror(tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / ("sources.list.d" if name.endswith(".sources") else "")
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    assert template._mirror("debian", tmp_path) == "https://mirror.example/debian"
    with pytest.raises(OSError, match="no source of ubuntu"):
        template._mirror("ubuntu", tmp_path)


def test_zones_leave_the_registry_and_nothing_else_does(tmp_path: Path) -> None:
    zones = "[Software\\\\Microsoft\\\\Windows NT\\\\CurrentVersion\\\\Time Zones"

    def section(key: str) -> str:
        return f'{key} 1795863600\n#time=1dcd0\n"TZI"=hex:c4,ff,\\\n  00,00\n\n'

    other = f"{zones}\\\\Alaskan Standard Time"
    kept = [f"{zones}\\\\UTC]", f"{zones}\\\\Romance Standard Time]", "[Software\\\\Wine]"]
    gone = [f"{other}]", f"{other}\\\\Dynamic DST]", f"{zones}\\\\UTC-02]"]
    registry = tmp_path / "system.reg"
    registry.write_text("".join(map(section, [*gone[:2], *kept[:2], gone[2], kept[2]])), "utf-8")
    template._keep_time_zones(registry)
    assert registry.read_text("utf-8") == "".join(map(section, kept))


def test_good_cmd_is_kept(tmp_path: Path) -> None:
    assert template._newer_cmd(tmp_path, "wine-10.0", lambda _: None) is None
    (tmp_path / "cmd.exe").write_bytes(b"MZ")
    assert template._newer_cmd(tmp_path, "wine-9.0", lambda _: None) == tmp_path / "cmd.exe"


def test_linux_without_a_newer_wine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "NEWER_RELEASES", {})
    with pytest.raises(LabError, match=r"Install Wine 10"):
        template._newer_cmd(tmp_path, "wine-8.0", lambda _: None)


def test_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "COMPILER", "no-such-compiler")
    with pytest.raises(LabError, match="Install the packages"):
        template._compile("type.c", tmp_path / "type.exe")
