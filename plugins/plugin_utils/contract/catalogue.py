r"""Annexe 1 as data (C1): which directories a server's ticked boxes stand for, and what contradicts itself.

The printed annex is catalogue.yml; `prosecours_catalogue_extra` adds boxes of the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ...module_utils.maintenance import shape
from ..validation.lines import read_yaml
from ..validation.mistakes import Mistake, Way
from ..windows import paths as windows_paths
from ..wording import one_of
from .variables import Values

RACINE = "<racine>"
SOFTWARE, VARIANTS, OFFICE = "prosecours_software", "prosecours_variants", "prosecours_office"
EXTRA, ROOT = "prosecours_catalogue_extra", "prosecours_root"


@dataclass(frozen=True)
class BoxPath:
    """One directory of a box, or one pattern of files; `when` and `unless` are variants or empty."""

    path: str
    kind: str = "directory"
    when: str = ""
    unless: str = ""

    def applies(self, variants: Sequence[str]) -> bool:
        """True if the box means this path on a server with these variants."""
        return (not self.when or self.when in variants) and self.unless not in variants


@dataclass(frozen=True)
class Box:
    """One line of Annexe 1 that can be ticked."""

    id: str
    printed: str
    paths: tuple[BoxPath, ...]
    requires: str = ""
    dump_days: int = 0
    """The software writes its own backups there: so many days old may the newest be. 0: it does not."""

    @property
    def variants(self) -> set[str]:
        """The variants that change something for this box."""
        return {self.requires, *(name for path in self.paths for name in (path.when, path.unless))} - {""}


@dataclass(frozen=True)
class Variant:
    """Something known of a server, which changes what a box means."""

    id: str
    printed: str
    excludes: tuple[str, ...] = ()


class Catalogue(NamedTuple):
    """The boxes and variants by id, in the order of the annex."""

    boxes: Mapping[str, Box]
    variants: Mapping[str, Variant]


class Ticked(NamedTuple):
    """One path of the perimeter, the box that it comes from ("office" if written by hand), and where."""

    box: str
    path: str
    kind: str
    way: Way
    dump_days: int = 0


@cache
def annexe_1() -> Catalogue:
    """The catalogue as printed in the contract."""
    data = read_yaml(Path(__file__).with_name("catalogue.yml").read_text(encoding="utf-8"))
    variants = (shape.read(Variant, variant) for variant in data["variants"])
    return Catalogue(
        _by_id(shape.read(Box, box) for box in data["boxes"]), {variant.id: variant for variant in variants}
    )


def _by_id(boxes: Iterator[Box]) -> dict[str, Box]:
    return {box.id: box for box in boxes}


def extended(extra: Sequence[Box]) -> tuple[Catalogue, list[Mistake]]:
    """The catalogue with the boxes of prosecours_catalogue_extra; and what is wrong."""
    boxes, variants = dict(annexe_1().boxes), annexe_1().variants
    mistakes: list[Mistake] = []
    for index, box in enumerate(extra):
        if box.id in boxes:
            mistakes.append(
                Mistake((EXTRA, index, "id"), f'the box "{box.id}" exists already', "Give it another id")
            )
            continue
        boxes[box.id] = box
        if box.requires and box.requires not in variants:
            problem = f'the variant "{box.requires}" is unknown'
            mistakes.append(
                Mistake((EXTRA, index, "requires"), problem, one_of(box.requires, list(variants)))
            )
        for number, path in enumerate(box.paths):
            way = (EXTRA, index, "paths", number)
            for field in ("when", "unless"):
                name = getattr(path, field)
                if name and name not in variants:
                    problem = f'the variant "{name}" is unknown'
                    mistakes.append(Mistake((*way, field), problem, one_of(name, list(variants))))
            written = path.path.replace(RACINE, "D:", 1) if path.path.startswith(RACINE) else path.path
            if found := windows_paths.problem(written, pattern=path.kind == "pattern"):
                mistakes.append(Mistake((*way, "path"), found.what, found.remedy))
    return Catalogue(boxes, variants), mistakes


def ticked(values: Values) -> dict[str, str]:
    """The printed lines of a server's ticked boxes by id, in the order of the annex; of valid values."""
    boxes = extended([shape.read(Box, box) for box in values[EXTRA]])[0].boxes
    return {name: box.printed for name, box in boxes.items() if name in values[SOFTWARE]}


def perimeter(values: Values) -> tuple[list[Ticked], list[Mistake]]:
    """The paths of one server in the order of the annex, then the office directories; and what is wrong.

    `values` are the variables with defaults, without those of a wrong type. Paths that Windows refuses are
    left out: they have been found already.
    """
    catalogue, mistakes = extended([shape.read(Box, box) for box in values.get(EXTRA, ())])
    software, variants, office = (values.get(name, []) for name in (SOFTWARE, VARIANTS, OFFICE))
    mistakes += _unknown(SOFTWARE, "box", software, list(catalogue.boxes))
    mistakes += _unknown(VARIANTS, "variant", variants, list(catalogue.variants))
    ticked = [box for box in catalogue.boxes.values() if box.id in software]
    if SOFTWARE in values and VARIANTS in values:
        mistakes += _contradictions(catalogue, software, ticked, variants)
    if SOFTWARE in values and OFFICE in values and not software and not office:
        remedy = f"Tick boxes in {SOFTWARE}, write directories in {OFFICE}, or remove the server"
        mistakes.append(Mistake((SOFTWARE,), "nothing is backed up on this server", remedy))

    chosen = [(box, path) for box in ticked for path in box.paths if path.applies(variants)]
    below_root = [box.id for box, path in chosen if path.path.startswith(RACINE)]
    if below_root and ROOT in values and values[ROOT] is None:
        problem = f"{RACINE} is missing, and below it lies {', '.join(dict.fromkeys(below_root))}"
        mistakes.append(Mistake((ROOT,), problem, "Add the root of the provider's software, like D:\\"))
    root = values.get(ROOT) or ""
    entries = [
        Ticked(
            box.id,
            path.path.replace(RACINE, root, 1),
            path.kind,
            (SOFTWARE, software.index(box.id)),
            box.dump_days,
        )
        for box, path in chosen
    ]
    entries += [Ticked("office", path, "directory", (OFFICE, index)) for index, path in enumerate(office)]
    legal = [
        entry._replace(path=windows_paths.normalise(entry.path))
        for entry in entries
        if not windows_paths.problem(entry.path, pattern=entry.kind == "pattern")
    ]
    return legal, mistakes + list(_overlaps(legal))


def _unknown(name: str, noun: str, chosen: Sequence[str], known: Sequence[str]) -> Iterator[Mistake]:
    for index, item in enumerate(chosen):
        if item not in known:
            yield Mistake((name, index), f'the {noun} "{item}" is unknown', one_of(item, known))


def _contradictions(
    catalogue: Catalogue, software: Sequence[str], ticked: Sequence[Box], variants: Sequence[str]
) -> Iterator[Mistake]:
    for box in ticked:
        if box.requires and box.requires not in variants:
            printed = catalogue.variants[box.requires].printed if box.requires in catalogue.variants else ""
            yield Mistake(
                (SOFTWARE, software.index(box.id)),
                f'the box "{box.id}" may be ticked only with the variant "{box.requires}" ({printed})',
                f'Add "{box.requires}" to {VARIANTS} if it is true of this server, else untick the box',
            )
    used = {name for box in ticked for name in box.variants}
    all_known = all(box in catalogue.boxes for box in software)
    for index, name in enumerate(variants):
        if name not in catalogue.variants:
            continue
        for other in catalogue.variants[name].excludes:
            if other in variants[:index]:
                problem = f'"{name}" and "{other}" cannot both be true of one server'
                yield Mistake((VARIANTS, index), problem, "Keep the one that is true")
        if name not in used and all_known:
            boxes = ", ".join(box.id for box in catalogue.boxes.values() if name in box.variants)
            problem = f'the variant "{name}" changes nothing: no ticked box depends on it'
            yield Mistake((VARIANTS, index), problem, f"Remove it, or tick the box that it is for: {boxes}")


def _overlaps(entries: Sequence[Ticked]) -> Iterator[Mistake]:
    """Paths that are the same or lie inside one another: files would count twice in the volume (C15)."""
    for index, entry in enumerate(entries):
        for other in entries[:index]:
            if windows_paths.same(entry.path, other.path):
                problem = f"{entry.path} is in the perimeter twice, also {_from(other)}"
                yield Mistake(entry.way, problem, "Keep one of the two")
            elif windows_paths.inside(entry.path, other.path):
                yield _inside(entry, entry, other)
            elif windows_paths.inside(other.path, entry.path):
                yield _inside(entry, other, entry)


def _inside(at: Ticked, inner: Ticked, outer: Ticked) -> Mistake:
    other = outer if at is inner else inner
    problem = f"{inner.path} lies inside {outer.path}, which would back it up twice ({_from(other)})"
    return Mistake(
        at.way, problem, f"Remove {inner.path}, or name only the other directories of {outer.path}"
    )


def _from(entry: Ticked) -> str:
    return (
        f"as entry {int(entry.way[1]) + 1} of {entry.way[0]}"
        if entry.box == "office"
        else f'by the box "{entry.box}"'
    )
