"""Where restic comes from: a local web server stands in for the release site, a small script for Go."""

from __future__ import annotations

import datetime
import http.server
import io
import ipaddress
import json
import ssl
import struct
import subprocess
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# A Windows program as small as the format allows: DOS mark, PE mark, x86-64, one section of 512 bytes at 512.
PROGRAM = (
    b"MZ".ljust(0x3C, b"\0")
    + struct.pack("<I", 0x40)
    + b"PE\0\0"
    + struct.pack("<HH16x", 0x8664, 1)
    + struct.pack("<16xII", 512, 512)
).ljust(1024, b"\0")


def _zip(program: bytes) -> bytes:
    pack = io.BytesIO()
    with zipfile.ZipFile(pack, "w") as archive:
        archive.writestr("restic_0.19.1_windows_amd64.exe", program)
    return pack.getvalue()


ARCHIVE = _zip(PROGRAM)


@dataclass
class Site:
    """A release site. `body` is what it sends, `cuts` how many bytes of each of the next replies arrive."""

    body: bytes = ARCHIVE
    status: int = 200
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    with _serving(Site()) as served:
        yield served


@contextmanager
def _serving(site: Site, context: ssl.SSLContext | None = None) -> Iterator[Site]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.asked.append(asked)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.ranges else 0
            body = site.body[start:]
            self.send_response(206 if start and site.status == 200 else site.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: site.cuts.pop(0)] if site.cuts else body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        site.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}/restic.zip"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield site
        server.shutdown()


def _wanted(site: Site, **changes: str | None) -> binaries.Artefact:
    entry = replace(
        binaries.artefact("restic", "windows/amd64"),
        url=site.url,
        archive_sha256=sha256(ARCHIVE).hexdigest(),
        sha256=sha256(PROGRAM).hexdigest(),
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go that knows one module and builds PROGRAM; the folder's file `sum` is its word on the source."""
    folder = tmp_path / "go"
    folder.mkdir()
    (folder / "program").write_bytes(PROGRAM)
    (folder / "sum").write_text(binaries.artefact("restic", "windows/amd64").module_sum)
    (folder / "go").write_text(
        f"""#!/bin/sh
case "$1" in
env) echo go1.26.8 ;;
mod) printf '{{"Dir": "{folder}", "Sum": "%s"}}' "$(cat {folder}/sum)" ;;
build)
    echo "$GOOS $GOARCH $CGO_ENABLED $*" >{folder}/built
    while [ "$1" != -o ]; do shift; done
    cp {folder}/program "$2" ;;
esac
"""
    )
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


def test_the_release_is_fetched_once(tmp_path: Path, site: Site, said: list[str]) -> None:
    first = binaries.obtain(_wanted(site), tmp_path, said.append)
    again = binaries.obtain(_wanted(site), tmp_path, said.append)
    assert first == again == binaries.cached(_wanted(site), tmp_path)
    assert (first.origin, first.sha256) == ("release", sha256(PROGRAM).hexdigest())
    assert first.path.read_bytes() == PROGRAM
    assert first.path.stat().st_mode & 0o111
    assert site.asked == [None]
    assert said == ["Downloading restic 0.19.1 for windows/amd64 from " + site.url.split("/")[2]]
    assert not list((tmp_path / "downloads").iterdir())


def test_a_cut_download_goes_on_where_it_stopped(tmp_path: Path, site: Site, said: list[str]) -> None:
    site.cuts = [100, 50]
    assert binaries.obtain(_wanted(site), tmp_path, said.append).path.read_bytes() == PROGRAM
    assert site.asked == [None, "bytes=100-", "bytes=150-"]


def test_a_cut_download_starts_again_where_the_site_cannot_go_on(
    tmp_path: Path, site: Site, said: list[str]
) -> None:
    site.cuts, site.ranges = [100], False
    assert binaries.obtain(_wanted(site), tmp_path, said.append).path.read_bytes() == PROGRAM


def test_what_an_earlier_run_left_is_not_trusted(tmp_path: Path, site: Site, said: list[str]) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "restic.zip.part").write_bytes(b"something else")
    assert binaries.obtain(_wanted(site), tmp_path, said.append).path.read_bytes() == PROGRAM
    assert site.asked == ["bytes=14-", None]


def test_a_wrong_archive_is_an_error_and_never_used(
    tmp_path: Path, site: Site, go: Path, said: list[str]
) -> None:
    site.body = _zip(PROGRAM[:-1] + b"!")
    with pytest.raises(binaries.BinaryError, match="is not the pinned release: the SHA-256 of it differs"):
        binaries.obtain(_wanted(site), tmp_path, said.append)
    assert not (go / "built").exists()
    assert [file for file in tmp_path.rglob("*") if file.is_file() and file.parent != go] == [
        tmp_path / "binaries" / "restic-0.19.1-windows-amd64" / "lock"
    ]


def test_a_wrong_program_inside_is_an_error(tmp_path: Path, site: Site, said: list[str]) -> None:
    with pytest.raises(binaries.BinaryError, match="the SHA-256 of the program inside it differs"):
        binaries.obtain(_wanted(site, sha256="0" * 64), tmp_path, said.append)
    assert binaries.cached(_wanted(site, sha256="0" * 64), tmp_path) is None


@pytest.mark.parametrize(
    ("status", "cuts", "reason"),
    [(403, [], "the release was refused (HTTP 403)"), (200, [0] * 9, "the release was cut again and again")],
)
def test_where_the_release_cannot_be_had_the_source_is_built(
    tmp_path: Path, site: Site, go: Path, said: list[str], status: int, cuts: list[int], reason: str
) -> None:
    site.status, site.cuts = status, cuts
    binary = binaries.obtain(_wanted(site), tmp_path, said.append)
    assert (binary.origin, binary.path.read_bytes()) == ("build", PROGRAM)
    built = (go / "built").read_text()
    assert built.startswith("windows amd64 0 build -mod=readonly -trimpath")
    assert built.endswith("./cmd/restic\n")
    manifest = json.loads(binary.path.with_name("manifest.json").read_text())
    assert manifest["sha256"] == sha256(PROGRAM).hexdigest()


def test_other_source_than_the_pinned_is_refused(
    tmp_path: Path, site: Site, go: Path, said: list[str]
) -> None:
    site.status = 503
    (go / "sum").write_text("h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    with pytest.raises(binaries.BinaryError, match="the SHA-256 of its source differs"):
        binaries.obtain(_wanted(site), tmp_path, said.append)
    assert not (go / "built").exists()


def test_when_every_way_fails_one_sentence_names_them_all(
    tmp_path: Path, site: Site, go: Path, said: list[str]
) -> None:
    site.status = 404
    (go / "go").write_text("#!/bin/sh\n[ $1 = env ] && echo go1.26.8 || { echo 'no route' >&2; exit 1; }\n")
    with pytest.raises(binaries.BinaryError) as caught:
        binaries.obtain(_wanted(site), tmp_path, said.append)
    assert caught.value.problem == (
        "restic 0.19.1 for windows/amd64 cannot be had: the release was refused (HTTP 404); "
        "go mod failed (no route)"
    )
    assert caught.value.remedy.startswith("Give the path of a copy, or let this machine reach 127.0.0.1:")


def test_a_closed_port_is_told(tmp_path: Path, site: Site, go: Path, said: list[str]) -> None:
    wanted = _wanted(site, url="http://127.0.0.1:9/restic.zip")
    (go / "go").write_text("#!/bin/sh\n[ $1 = env ] && echo go1.26.8 || exit 3\n")
    with pytest.raises(binaries.BinaryError, match=r"the release did not answer \(.*refused.*go mod failed"):
        binaries.obtain(wanted, tmp_path, said.append)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"!", lambda data: None])
def test_a_damaged_copy_in_the_cache_is_fetched_again(
    tmp_path: Path, site: Site, said: list[str], damage: Callable[[bytes], bytes | None]
) -> None:
    binary = binaries.obtain(_wanted(site), tmp_path, said.append)
    damaged = damage(PROGRAM)
    binary.path.unlink() if damaged is None else binary.path.write_bytes(damaged)
    assert binaries.cached(_wanted(site), tmp_path) is None
    assert binaries.obtain(_wanted(site), tmp_path, said.append) == binary
    assert binary.path.read_bytes() == PROGRAM
    assert len(site.asked) == 2


def test_an_unreadable_manifest_is_no_proof(tmp_path: Path, site: Site, said: list[str]) -> None:
    binary = binaries.obtain(_wanted(site), tmp_path, said.append)
    binary.path.with_name("manifest.json").write_text('"cut')
    assert binaries.cached(_wanted(site), tmp_path) is None


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, site: Site, said: list[str]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(binaries.BinaryError, match=r"cannot be used: Not a directory\. .*PROSECOURS_CACHE"):
        binaries.obtain(_wanted(site), tmp_path / "cache", said.append)


def test_parallel_runs_fetch_once(tmp_path: Path, site: Site) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(lambda _: binaries.obtain(_wanted(site), tmp_path, print), range(6)))
    assert len(found) == 1
    assert site.asked == [None]


@pytest.mark.parametrize("trusted", [True, False])
def test_https_is_verified(
    tmp_path: Path, go: Path, said: list[str], monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    certificate, key = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers what it trusted before
    with _serving(Site(), context) as site:
        binary = binaries.obtain(_wanted(site), tmp_path / "cache", said.append)
    assert binary.origin == ("release" if trusted else "build")


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.mark.parametrize(
    ("content", "announced", "refusal"),
    [
        (PROGRAM, None, None),
        (PROGRAM, sha256(PROGRAM).hexdigest().upper(), None),
        (PROGRAM, "0" * 64, "as announced"),
        (PROGRAM[:-1], None, "is cut: 1024 bytes are announced inside it"),
        (b"MZ", None, "is not a program for windows/amd64"),
        (b"\x7fELF" + bytes(200), None, "is not a program for windows/amd64"),
        (b"", None, "is not a program for windows/amd64"),
        (None, None, "is not a file"),
    ],
)
def test_the_users_own_file(
    tmp_path: Path, content: bytes | None, announced: str | None, refusal: str | None
) -> None:
    path = tmp_path / "restic.exe"
    if content is not None:
        path.write_bytes(content)
    wanted = binaries.artefact("restic", "windows/amd64")
    if refusal:
        with pytest.raises(binaries.BinaryError, match=refusal):
            binaries.given(path, wanted, announced)
    else:
        assert binaries.given(path, wanted, announced) == (
            path,
            "0.19.1",
            sha256(PROGRAM).hexdigest(),
            "path",
        )


def test_only_pinned_versions_are_known() -> None:
    assert binaries.artefact("restic", "windows/amd64").version == "0.19.1"
    assert binaries.artefact("restic", "windows/amd64", "0.18.1").version == "0.18.1"
    with pytest.raises(
        binaries.BinaryError, match=r"No hash is pinned for restic 1\.0 .*\(0\.19\.1, 0\.18\.1\)"
    ):
        binaries.artefact("restic", "windows/amd64", "1.0")
    with pytest.raises(binaries.BinaryError, match="Give the path of a copy of your own"):
        binaries.artefact("restic", "plan9/arm")


@pytest.mark.lab
@pytest.mark.parametrize(("program", "argument"), [("restic", "version"), ("rest-server", "--version")])
def test_the_real_programs_say_their_pinned_version(program: str, argument: str) -> None:
    wanted = binaries.artefact(program, "linux/amd64")
    binary = binaries.obtain(wanted, binaries.default_cache(), print)
    shown = subprocess.run([binary.path, argument], capture_output=True, text=True, check=True).stdout
    assert f"{program} {wanted.version} compiled" in shown


@pytest.mark.lab
def test_the_real_windows_program_is_whole() -> None:
    wanted = binaries.artefact("restic", "windows/amd64")
    binary = binaries.obtain(wanted, binaries.default_cache(), print)
    assert binaries.given(binary.path, wanted).sha256 == binary.sha256
