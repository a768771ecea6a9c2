"""The one family of errors that a user meets: what is wrong and where, and what to do about it.

Each room has its own kinds, so that a caller can tell them apart. There is one boundary on each side:
`ansible_adapter.CoreAction` makes a failed result of any of them, `fleet` the outcome of one client. Whatever
else is raised is a defect of this program, and shown as one; of one server, it stops no other (`contained`).

It stands in this package because the package is copied alone to the repository host, and the controller's
side (`plugin_utils/errors.py`) takes it from here: so one `except` means the same on both.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .printable import printable_lines


class ProSecoursError(Exception):
    """An expected failure. `problem` is one sentence without its full stop, `remedy` another; `where` is the
    server (its inventory name), the repository or the file that it concerns, or empty."""

    def __init__(self, problem: str, remedy: str, where: str | Path = "") -> None:
        place = f"{where}: " if where else ""
        super().__init__(printable_lines(f"{place}{problem}. {full_stop(remedy)}"))
        self.problem = printable_lines(problem)
        self.remedy = printable_lines(remedy)
        self.where = str(where)


class SeveralErrors(ProSecoursError):
    """What went wrong in several places at once; its text has a line for each."""

    def __init__(self, failures: Sequence[ProSecoursError]) -> None:
        problems = (f"{one.where}: {one.problem}" if one.where else one.problem for one in failures)
        remedies = dict.fromkeys(full_stop(one.remedy) for one in failures)
        super().__init__("; ".join(problems), " ".join(remedies).removesuffix("."))
        self.failures = tuple(failures)

    def __str__(self) -> str:
        return "\n".join(map(str, self.failures))


class Defect(ProSecoursError):
    """Of this program. A hostile server may have found it: it is to stop no other one."""


@contextmanager
def contained() -> Iterator[None]:
    """Raises Defect for whatever nobody expected, with the place where it came about."""
    try:
        yield
    except (ProSecoursError, OSError):
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error}, {Path(place.filename).name}:{place.lineno}"
        problem = f"a defect of this program ({said[:300]}); nothing more was done here"
        raise Defect(problem, "Report it, with this sentence") from error


def full_stop(remedy: str) -> str:
    """A remedy as the end of a sentence: with a full stop, unless it asks."""
    return remedy if remedy.endswith("?") else f"{remedy}."


def sentence(error: Exception) -> str:
    """What people read of an expected failure; the system's own words, of a disk that is full or gone, get a
    place and a remedy."""
    if not isinstance(error, OSError):
        return str(error)
    place = f"{error.filename} of the repository host" if error.filename else "A file of the repository host"
    problem = f"{place} cannot be read or written ({error.strerror or error})"
    return str(
        ProSecoursError(problem, "Make room on its disk, or see to the rights there; then start again")
    )
