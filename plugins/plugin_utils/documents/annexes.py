"""Annexes 1 to 3 as pages to sign, and the amendment where what was signed is out of date (C17, C18, C21).

facts (contracts, what lies in the folder) -> plan -> apply. A name has the fingerprint of the data, and
the data make the page: a second run finds everything there, and what was printed for other data stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract import agreed, catalogue, form
from ..contract.agreed import Agreed, Server
from ..contract.model import ClientContract, HostContract, Retention
from ..contract.signed import Standing, kept_in, standing
from ..files import CannotWrite, safe_name, write_whole
from .french import number
from .render import DocumentError, pdf, render, script

BLANK = "annexe-a-remplir.html"
"""The page that a new client fills in, beside the clients' folders."""


@dataclass(frozen=True)
class Sheet:
    """A page to write, with its PDF; or, without `html`, the data alone."""

    path: Path
    text: str
    alone: bool = False
    """Without a PDF."""

    @property
    def page(self) -> bool:
        return self.path.suffix == ".html" and not self.alone

    @property
    def files(self) -> tuple[Path, ...]:
        """What is written, the last of them last: it tells that the others are there."""
        return (self.path.with_suffix(".pdf"), self.path) if self.page else (self.path,)

    def is_there(self) -> bool:
        """Whether all of it is as it is to be."""
        try:
            return all(one.exists() for one in self.files) and self.path.read_text("utf-8") == self.text
        except (OSError, ValueError):
            return False

    def write(self) -> None:
        """Raises CannotWrite, DocumentError."""
        if self.page:
            write_whole(self.files[0], pdf(self.text))
        write_whole(self.path, self.text)


@dataclass(frozen=True)
class Printed:
    """The annexes of a client as they are now: their fingerprint, what of them is to be written, and how they
    stand to the signed copy."""

    client: str
    fingerprint: str
    """As people read it."""
    pages: tuple[Path, ...]
    due: tuple[Sheet, ...]
    standing: Standing
    signed: bool

    @property
    def state(self) -> str:
        """For a technician, in a few words."""
        if self.standing.differences:
            return "an amendment is to be signed"
        if self.standing.problem:
            return "the signed copy is not known"
        return "signed" if self.signed else "not signed yet"


def plan(
    client: ClientContract, hosts: Mapping[str, HostContract], folder: Path, provider: Mapping[str, str]
) -> Printed:
    """What is to be printed of a client into `folder`.

    `provider`: applications, systems (e-mail), telephone; what is missing is as the form has it. The data
    come first: a signed page without them could not be compared.
    """
    now = agreed.of_contract(client, hosts)
    digits = agreed.fingerprint(now)
    found = standing(client, hosts, folder)
    name = f"{safe_name(client.reference)}-{digits[:8]}"
    sheets = [
        Sheet(kept_in(folder, client.id, digits), agreed.text(now)),
        Sheet(folder / client.id / f"annexes-{name}.html", annexes(now, provider, client.retention)),
    ]
    if found.before and client.paper.signed:
        text = render(
            "amendment.html.j2",
            title="Avenant aux annexes",
            agreed=now,
            digits=agreed.shown(digits),
            signed=client.paper.signed,
            signed_digits=agreed.shown(client.paper.signed.fingerprint),
            differences=found.differences,
        )
        before = client.paper.signed.fingerprint[:8]
        sheets.append(Sheet(folder / client.id / f"avenant-{name}-{before}.html", text))
    return Printed(
        client.id,
        agreed.shown(digits),
        tuple(one.path for one in sheets if one.page),
        tuple(one for one in sheets if not one.is_there()),
        found,
        client.paper.signed is not None,
    )


def apply(printed: Sequence[Printed]) -> dict[str, list[str]]:
    """Write what is due of each client; client -> the sentence for which its own is not whole."""
    failures: dict[str, list[str]] = {}
    for one in printed:
        try:
            for sheet in one.due:
                sheet.write()
        except (CannotWrite, DocumentError) as error:
            failures[one.client] = [str(error)]
    return failures


def diff(printed: Printed) -> Iterator[dict[str, str]]:
    """What a run changes, for Ansible's diff: the data line by line; of a page, that it is made."""
    for one in printed.due:
        made = f"annexes {printed.fingerprint}, to print and sign\n" if one.page else one.text
        if one.page and one.path.name.startswith("avenant"):
            made = "".join(f"{difference}\n" for difference in printed.standing.differences)
        header = str(one.path)
        yield {"before_header": header, "after_header": header, "before": "", "after": made}


def blank() -> str:
    """Annexes 1 and 2 as a page that a new client fills in, and that saves what was filled in. Pure.

    One file like all others: the script in it is known to the browser by its hash, and sends nothing.
    """
    known = catalogue.annexe_1()
    return render(
        "blank_annex.html.j2",
        title="Annexes à remplir",
        form=form.printed_form(),
        boxes={name: box.printed for name, box in known.boxes.items()},
        variants={name: one.printed for name, one in known.variants.items()},
        **script("blank_annex.js"),
    )


@dataclass(frozen=True)
class Line:
    """A line of the form with its box."""

    ticked: bool
    printed: str
    paths: tuple[str, ...] = ()


def annexes(now: Agreed, provider: Mapping[str, str], retention: Retention) -> str:
    """The page of the three annexes. `retention`, how the provider keeps the contract's words, is told beside
    them, and not signed. Pure."""
    own = form.printed_form()
    return render(
        "annexes.html.j2",
        title="Annexes du contrat Pro Secours",
        form=own,
        agreed=now,
        digits=agreed.shown(agreed.fingerprint(now)),
        servers=[_filled_in(server) for server in now.servers],
        volume=number(now.subscribed_gb),
        retention=retention,
        provider={
            name: provider.get(name) or getattr(own.contacts, name)
            for name in ("applications", "systems", "telephone")
        },
    )


def _filled_in(server: Server) -> dict[str, Any]:
    """Every box of the form, ticked or not; those that the inventory added to the form follow."""
    known = catalogue.annexe_1()
    own = {box.id: box for box in server.boxes}
    lines = [
        Line(name in own, box.printed, own[name].paths if name in own else ())
        for name, box in known.boxes.items()
    ]
    lines += [Line(True, box.printed, box.paths) for name, box in own.items() if name not in known.boxes]
    return {
        "host": server.host,
        "root": server.root,
        "boxes": lines,
        "variants": [
            Line(name in server.variants, variant.printed) for name, variant in known.variants.items()
        ],
        "office": server.office,
    }
