"""What files begin with, and how random they are: the doubts of a drill, on files that programs made."""

from __future__ import annotations

import bz2
import gzip
import io
import random
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.plausible import KINDS, Look
from ansible_collections.prosecours.backup.plugins.plugin_utils.files import COLLECTION

from windows_lab.machine.drives import filler

NOISE = random.Random(7).randbytes(300_000)  # noqa: S311
TEXT = "N° ; montant ; libellé\r\n42 ; 1 024,50 ; Élevage – été\r\n" * 400


def doubt(name: str, content: bytes, size: int = 100_000) -> str | None:
    look, source = Look(f"/D/é.x/{name}"), io.BytesIO(content)
    read = look.reading(source.read)
    back = b""
    while part := read(size):
        back += part
    assert back == content
    return look.doubt()


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("word/document.xml", TEXT)
    return made.getvalue()


def database(folder: Path) -> bytes:
    with sqlite3.connect(folder / "x.sqlite") as connection:
        connection.execute("create table t (a)")
    connection.close()
    return (folder / "x.sqlite").read_bytes()


def test_what_programs_made_is_not_doubted(tmp_path: Path) -> None:
    from weasyprint import HTML

    made = {
        "a.PDF": HTML(string="<p>é</p>").write_pdf(),
        "b.docx": zipped(),
        "c.zip": zipped(),
        "d.gz": gzip.compress(NOISE),
        "e.sqlite": database(tmp_path),
        "f.csv": TEXT.encode("cp1252"),
        "g.txt": TEXT.encode("utf-16"),
        "h.xls": f"<html><table>{TEXT}</table>".encode(),
        "i.bak": b"TAPE\x00\x00\x03\x00" + NOISE,
        "j.mdb": b"\x00\x01\x00\x00Standard Jet DB\x00" + bytes(5000),
        "k.pdf": bytes(900) + b"%PDF-1.7" + NOISE,
        "l.json": b"{}",
        "m.bak": b"",
        "n.giw": NOISE,
        "o": NOISE,
        "p.bz2": bz2.compress(NOISE),
    }
    assert {name: said for name, content in made.items() if (said := doubt(name, content))} == {}


@pytest.mark.parametrize("ending", [ending for kind in KINDS for ending in kind.endings.split()])
def test_whatever_is_encrypted_or_emptied_is_doubted(ending: str) -> None:
    for size in (5000, len(NOISE)):
        said = doubt(f"x.{ending}", NOISE[:size])
        assert said is not None
        assert said.endswith("it is as random as encrypted data")
    assert doubt(f"x.{ending}", bytes(5000)) == "has nothing but bytes 00"


def test_another_beginning_is_told_as_it_is() -> None:
    assert doubt("x.pdf", TEXT.encode()) == "does not look like a PDF: it begins with 4ec2b0203b206d6f"
    assert doubt("x.pdf", bytes(1020) + b"%PDF-1.7") is not None


def test_little_of_a_large_file_is_kept_and_its_later_parts_count_too() -> None:
    assert doubt("x.txt", TEXT.encode() + NOISE, 20_000) is not None
    look = Look("x.bak")
    read = look.reading(io.BytesIO(bytes(100) + b"x" * 10_000_000).read)
    while read(1000):
        pass
    assert look._counts.total() == 16_000
    assert len(look._head) == 1024


def test_the_files_of_the_demonstration_are_not_doubted() -> None:
    """By chance the drill of `make demo` reads any of them."""

    def files(tree: object, name: str = "") -> Iterator[tuple[str, int]]:
        if isinstance(tree, dict):
            for inner, below in tree.items():
                yield from files(below, str(inner))
        elif isinstance(tree, int):
            yield name, tree

    found = []
    for path in (COLLECTION / "inventories" / "lab" / "clients").glob("*.yml"):
        clients = yaml.safe_load(path.read_text(encoding="utf-8"))["prosecours_clients"]["children"]
        found += [one for client in clients.values() for one in files(client["hosts"]) if "." in one[0]]
    assert len(found) > 10
    assert {name: said for name, size in found if (said := doubt(name, filler(name, size)))} == {}
