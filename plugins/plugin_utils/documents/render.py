"""French documents for clients and technicians: a Jinja2 template becomes HTML, and HTML becomes PDF.

A document is one file. Its templates name no script, font or picture of elsewhere, a browser is told to load
none, and WeasyPrint is refused every address; so it reads the same from a mail, a USB stick or an archive.
Templates are written with straight apostrophes and ordinary spaces; print has those of French typography, but
for what is filled in, which stays as it is: a path, or a name.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext

from ...module_utils.maintenance.printable import printable_lines
from ..errors import ProSecoursError
from ..libraries import INSTALL
from ..wording import typographic
from .french import FILTERS

TEMPLATES = Path(__file__).parent / "templates"
_PDF = {"pdf_tags": True, "pdf_identifier": b"prosecours.backup"}


class DocumentError(ProSecoursError):
    """A document that could not be made."""


_LEFT = re.compile(
    r"""(
        {\#.*?\#} | {%\ *block\ (?:style|policy).*?endblock\ %} | {%.*?%} | {{.*?}}
        | <(?:style|script).*?</(?:style|script)> | <(?:{%.*?%}|{{.*?}}|[^>])*>
    )""",
    re.DOTALL | re.VERBOSE,
)
"""What of a template is no text."""


class _Print(jinja2.ext.Extension):
    """The text of a page or a mail, as print has it."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        if not (name or "").endswith((".html.j2", ".txt.j2")):
            return source
        parts = _LEFT.split(source)
        parts[::2] = typographic(parts[::2])
        return "".join(parts)


def _seen(value: Any) -> Any:
    """What is filled in shows all that it has; what the page itself made (Markup) is left alone."""
    return printable_lines(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2", "svg.j2")),
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        extensions=[_Print],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment


_ENVIRONMENT = _environment()


def render(template: str, **context: Any) -> str:
    """The text of a file of `templates`, for example `render("record.html.j2", title=...)`.

    `*.html.j2` and `*.svg.j2` are escaped, `*.txt.j2` (the body of a mail) is not. Every HTML page extends
    `base.html.j2`, which wants `title` and says what else a page may set. Raises jinja2.UndefinedError for a
    value that is not given: that is a mistake of the caller, never of a user.
    """
    return _ENVIRONMENT.get_template(template).render(**context)


def script(name: str) -> dict[str, str]:
    """What a page needs that has a script of `templates`: the text, and the hash by which a browser knows it
    and runs no other (Content Security Policy, script-src)."""
    text = (TEMPLATES / name).read_text("utf-8")
    digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"script": text, "script_hash": f"sha256-{digest}"}


def pdf(html: str) -> bytes:
    """A document as PDF, tagged for screen readers. The same HTML gives the same bytes.

    Raises DocumentError when this machine lacks a library, or when the page wants to load something.
    """
    return pdf_of_all([html])


def pdf_of_all(pages: Sequence[str]) -> bytes:
    """Documents one after the other in one file, each with page numbers of its own; there is one at least.

    Raises DocumentError as `pdf` does.
    """
    try:
        import weasyprint  # late: a second of work, and the system's Pango, that HTML alone does not need
        from weasyprint.urls import FatalURLFetchingError, URLFetcher
    except ModuleNotFoundError as error:
        raise DocumentError(
            f"No PDF can be made, the Python of Ansible has no {error.name}", f"Install it: {INSTALL}"
        ) from error
    except OSError as error:
        raise DocumentError(
            f"No PDF can be made on this machine, a library is missing ({error})",
            "Install libpango-1.0-0, libpangoft2-1.0-0 and libharfbuzz-subset0, or run tools/setup packages",
        ) from error
    closed = URLFetcher(allowed_protocols=("data",), fail_on_errors=True)
    try:
        laid_out = [weasyprint.HTML(string=html, url_fetcher=closed).render(**_PDF) for html in pages]
        whole = laid_out[0].copy([page for one in laid_out for page in one.pages])
        made: bytes = whole.write_pdf(**_PDF)
    except FatalURLFetchingError as error:
        raise DocumentError(
            f"A document is one file and loads nothing: {error}", "Put it into the page"
        ) from error
    return made
