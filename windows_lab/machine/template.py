"""The Wine prefix that every lab host is a copy of, made once per machine and kept in the cache folder.

Needs Debian's or Ubuntu's packages wine64 and gcc-mingw-w64-x86-64. What is added to plain Wine:
  - resident.exe and forwarder.exe (forwarder/*.c);
  - bcryptprimitives.dll, which Go programs need and Wine has since 8.13 only;
  - vssapi.dll, which Wine has as an empty shell: shadow copies that copy nothing, or fail on request;
  - type.exe in the place of cmd's built-in TYPE, which in Wine stops at NUL and converts what it prints;
  - a newer cmd.exe: that of Wine before 9.12 runs `b` of `a && b` and of `a || b` whatever `a` returned, and
    loses exit codes of batch files. cmd.exe is a plain Windows program, so that of a newer release's libwine
    package, fetched by apt with its signatures, runs in an older Wine too (tried: 10.0 in 8.0).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from windows_lab.errors import LabError

SOURCES = Path(__file__).parent / "forwarder"
COMPILER = "x86_64-w64-mingw32-gcc"
PACKAGES = "wine64 and gcc-mingw-w64-x86-64"
GOOD_CMD = (9, 12)  # Wine's first release with the rewritten cmd.exe
NEWER_RELEASES = {"debian": ("trixie", "forky"), "ubuntu": ("resolute", "questing", "plucky")}
OVERRIDES = r"[Software\\Wine\\DllOverrides]"  # in user.reg
_OTHER_ZONES = (
    r"(?m)^\[Software\\\\Microsoft\\\\Windows NT\\\\CurrentVersion\\\\Time Zones\\\\"
    r"(?!(?:UTC|Romance Standard Time)[\]\\]).*\n(?:[^\[\n].*\n|\n)*"
)  # sections of system.reg
BUILTIN = b"Wine builtin DLL"  # at 0x40 of Wine's own programs: makes Wine load its own copy instead
KEPT = 7 * 86400  # seconds that a template of other sources or another Wine is kept
LINKED = 65536  # bytes; larger files of Windows are shared between hosts
SYSTEM32 = Path("drive_c/windows/system32")

# Wine's stubs print nothing and exit 0; a check built on one passes falsely. These stay real.
REAL_PROGRAMS = frozenset(
    {"cmd.exe", "reg.exe", "regedit.exe", "conhost.exe", "explorer.exe", "services.exe", "winedevice.exe",
     "plugplay.exe", "rpcss.exe", "svchost.exe", "wineboot.exe", "start.exe", "rundll32.exe", "regsvr32.exe",
     "spoolsv.exe", "taskkill.exe",
     "winemenubuilder.exe", "winedbg.exe", "wineconsole.exe", "lab.exe",
     "ntoskrnl.exe"}  # ntoskrnl is a library, in spite of its name
)  # fmt: skip


@cache
def program(name: str) -> str:
    """Path of Wine's own program `name` (wine64 or wineserver). Raises LabError when Wine is missing."""
    names = {"wine64": ("wine64", "wine"), "wineserver": ("wineserver64", "wineserver")}[name]
    for folder in ("/usr/lib/wine", "/usr/lib64/wine"):
        for candidate in names:
            if os.access(f"{folder}/{candidate}", os.X_OK):
                return f"{folder}/{candidate}"
    for candidate in names:
        if found := shutil.which(candidate):
            return found
    raise LabError(f"Wine is not installed. Install the packages {PACKAGES}.")


def environment(prefix: Path) -> dict[str, str]:
    """What Wine itself is given by Linux: no display, no messages, file names in UTF-8."""
    return {
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "LC_ALL": "C.UTF-8",
        "PATH": os.defpath,
        "HOME": str(prefix),
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
    }


def make(stubs: Iterable[str], say: Callable[[str], None] = lambda _: None) -> Path:
    """The template prefix, made now if the cache has none for this Wine and these sources.

    `stubs` are the names of inbox programs (with .exe) that the forwarder stands for.
    Raises LabError: Wine or the compiler is missing, or Wine could not make a prefix.
    """
    version = _version()
    names = sorted(set(stubs))
    digest = hashlib.sha256("\n".join([version, *names]).encode())
    for source in (*sorted(SOURCES.iterdir()), Path(__file__)):
        digest.update(source.read_bytes())
    home = _cache() / "wine"
    target = home / f"{version}-{digest.hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            say(f"Making the Wine template of the lab ({version}), once on this machine.")
            for old in home.glob("wine-*"):
                # A younger one may belong to another checkout that is at work right now.
                if time.time() - old.stat().st_mtime > KEPT:
                    shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=home, ignore_cleanup_errors=True) as scratch:
                prefix = Path(scratch) / "prefix"
                _boot(prefix)
                _furnish(prefix, names, _newer_cmd(home, version, say))
                os.utime(prefix)
                prefix.rename(target)
    return target


def copy(template: Path, prefix: Path) -> None:
    """A prefix of its own from the template: large files of Windows as hard links, the rest as copies.

    A program that writes into a linked file would change it for all hosts. What tests may want to replace
    (inbox programs, configuration) is small.
    """
    prefix.mkdir(parents=True)
    for entry in template.iterdir():
        if entry.is_dir():
            shutil.copytree(entry, prefix / entry.name, symlinks=True, copy_function=_link)
        else:
            shutil.copy2(entry, prefix / entry.name)


def renew(template: Path, prefix: Path) -> None:
    """Brings a prefix that was made from another template up to this one: programs, and which of them are
    preferred to Wine's. The rest of the disk and of the registry stays."""
    shutil.rmtree(prefix / SYSTEM32)
    shutil.copytree(template / SYSTEM32, prefix / SYSTEM32, symlinks=True, copy_function=_link)
    overrides = (template / "user.reg").read_text(encoding="utf-8").rpartition(OVERRIDES)[2]
    with (prefix / "user.reg").open("a", encoding="utf-8") as registry:
        registry.write(f"\n{OVERRIDES}{overrides}")


def _link(source: str, target: str) -> str:
    if SYSTEM32.parent.as_posix() in source and Path(source).stat().st_size >= LINKED:
        try:
            Path(target).hardlink_to(source)
            return target
        except OSError:
            pass  # another file system
    return shutil.copy2(source, target)


def _cache() -> Path:
    if own := os.environ.get("PROSECOURS_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "prosecours"


def _version() -> str:
    """For example wine-8.0."""
    answer = subprocess.run([program("wine64"), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"wine-\d+\.\d+", answer.stdout)
    if not found:
        raise LabError(f"{program('wine64')} does not start: {answer.stderr.strip() or 'no version'}.")
    return found.group()


def _boot(prefix: Path) -> None:
    prefix.mkdir()
    settings = {**environment(prefix), "WINEARCH": "win64"}
    for command in ([program("wine64"), "wineboot.exe", "--init"], [program("wineserver"), "-w"]):
        # A file, not a pipe: Wine's services inherit it and would keep a pipe open.
        with (prefix.parent / "wine.log").open("w") as log:
            subprocess.run(
                command, env=settings, cwd=prefix, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                timeout=300, check=False,
            )  # fmt: skip
    if not (prefix / SYSTEM32 / "kernel32.dll").exists() or not (prefix / "system.reg").exists():
        raise LabError(f"Wine could not make a prefix. Check that the packages {PACKAGES} are whole.")


def _furnish(prefix: Path, stubs: list[str], newer_cmd: Path | None) -> None:
    system32 = prefix / SYSTEM32
    for name in ("resident", "forwarder"):
        _compile(f"{name}.c", prefix.parent / f"{name}.exe", "-lws2_32")
    shutil.copyfile(prefix.parent / "resident.exe", system32 / "lab.exe")
    own = {file.name for file in system32.iterdir() if file.suffix.lower() == ".exe"}
    replaced = sorted((own | set(stubs)) - REAL_PROGRAMS)
    for name in replaced:
        (system32 / name).unlink(missing_ok=True)
        shutil.copyfile(prefix.parent / "forwarder.exe", system32 / name)
    cmd = (newer_cmd or system32 / "cmd.exe").read_bytes()
    (system32 / "cmd.exe").unlink()
    (system32 / "cmd.exe").write_bytes(_without_type(cmd))
    _compile("type.c", system32 / "type.exe", "-municode")
    (system32 / "vssapi.dll").unlink(missing_ok=True)
    _compile("vssapi.c", system32 / "vssapi.dll", "-shared", str(SOURCES / "vssapi.def"), "-lole32")
    replaced += ["cmd.exe", "type.exe", "vssapi"]
    if not (system32 / "bcryptprimitives.dll").exists():
        _compile("bcryptprimitives.c", system32 / "bcryptprimitives.dll", "-shared", "-ladvapi32")
    _register(prefix, replaced)
    _keep_time_zones(prefix / "system.reg")
    shutil.rmtree(prefix / "drive_c/windows/syswow64", ignore_errors=True)
    shutil.rmtree(prefix / "drive_c/users", ignore_errors=True)
    (prefix / "drive_c/users/Public").mkdir(parents=True)
    for link in (prefix / "dosdevices").iterdir():
        if link.name != "c:":
            link.unlink()  # Linux is not to be seen from a lab host


def _without_type(cmd: bytes) -> bytes:
    """cmd.exe as a program of its own, with the name of TYPE taken out of its table of built-ins."""

    def entry(name: str) -> bytes:
        return name.encode("utf-16-le").ljust(20, b"\0")

    before, after = entry("TITLE") + entry("TYPE"), entry("TITLE") + entry("\1YPE")
    if cmd.count(before) != 1:
        raise LabError(
            "This Wine's cmd.exe has another table of built-ins. Tell the authors of the lab its version."
        )
    return cmd.replace(before, after).replace(BUILTIN, b"Lab".ljust(len(BUILTIN)), 1)


def _register(prefix: Path, native: list[str]) -> None:
    """Wine prefers its own programs to files of the same name unless it is told otherwise."""
    lines = ["", OVERRIDES, *(f'"{name}"="native"' for name in native), ""]
    with (prefix / "user.reg").open("a", encoding="utf-8") as registry:
        registry.write("\n".join(lines))


def _keep_time_zones(registry: Path) -> None:
    """Every process of Wine looks for this machine's zone among the 140 of the registry, one by one, when
    msvcrt starts: half of all that a small program does. Where it finds none it goes by Linux's own."""
    text = registry.read_text(encoding="utf-8")
    registry.write_text(re.sub(_OTHER_ZONES, "", text), encoding="utf-8")


def _compile(source: str, target: Path, *options: str) -> None:
    command = [COMPILER, "-O2", "-s", "-o", str(target), str(SOURCES / source), *options]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise LabError(f"{COMPILER} is not installed. Install the packages {PACKAGES}.") from None
    except subprocess.CalledProcessError as error:
        raise LabError(f"{source} does not compile: {error.stderr.strip()}") from error


def _newer_cmd(home: Path, version: str, say: Callable[[str], None]) -> Path | None:
    """cmd.exe of a newer release's libwine, or None when the installed Wine has a good one."""
    if tuple(int(part) for part in version.removeprefix("wine-").split(".")) >= GOOD_CMD:
        return None
    kept = home / "cmd.exe"
    if kept.exists():
        return kept
    say("Fetching a newer cmd.exe (package libwine of the next release, about 110 MB).")
    release = dict(
        re.findall(r'(?m)^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(encoding="utf-8"))
    )
    problems = []
    for suite in NEWER_RELEASES.get(release.get("ID", ""), ()):
        with tempfile.TemporaryDirectory(dir=home) as scratch:
            try:
                program_bytes = _from_release(Path(scratch), release["ID"], suite)
            except (OSError, subprocess.SubprocessError) as error:
                problems.append(f"{suite}: {error}")
                continue
            kept.write_bytes(program_bytes)
            return kept
    raise LabError(
        f"The cmd.exe of {version} cannot run batch files rightly, and no newer one could be fetched"
        f" ({'; '.join(problems) or 'unknown Linux'}). Install Wine 10 or later."
    )


def _from_release(scratch: Path, distribution: str, suite: str) -> bytes:
    """Downloads libwine of `suite` with apt, beside the system's own package lists, and takes cmd.exe out."""
    component = {"debian": "main", "ubuntu": "universe"}[distribution]
    keyring = f"/usr/share/keyrings/{distribution}-archive-keyring.gpg"
    source = scratch / "sources.list"
    source.write_text(f"deb [signed-by={keyring}] {_mirror(distribution)} {suite} {component}\n")
    for folder in ("lists/partial", "archives/partial"):
        (scratch / folder).mkdir(parents=True)
    options = {
        "Dir::Etc::SourceList": source, "Dir::Etc::SourceParts": "-", "Dir::State::Lists": scratch / "lists",
        "Dir::Cache": scratch, "APT::Sandbox::User": "root", "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
    }  # fmt: skip
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    for verb in (["update"], ["download", f"libwine/{suite}"]):
        subprocess.run([*apt, *verb], cwd=scratch, check=True, capture_output=True, timeout=600)
    package = next(scratch.glob("libwine_*.deb"))
    listing = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
    taken = subprocess.run(
        ["tar", "-xO", "--wildcards", "*/x86_64-windows/cmd.exe"],
        stdin=listing.stdout, capture_output=True, check=True,
    )  # fmt: skip
    listing.communicate()
    return taken.stdout


def _mirror(distribution: str, apt: Path = Path("/etc/apt")) -> str:
    """The address that this machine's apt takes its distribution from."""
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    found = re.findall(rf"(?m)^(?:deb .*?|URIs:\s*)(https?://\S*/{distribution}/?)(?:\s|$)", text)
    if not found:
        raise OSError(f"apt has no source of {distribution}")
    return str(found[0])
