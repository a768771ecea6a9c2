"""A page as a reader meets it: its text, its links, its ids. Stands on html.parser alone."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """`text` without style and title; `elements` as (tag, attributes, text below)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {[entry[0] for entry in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        entry = (tag, {name: value or "" for name, value in attrs}, [])
        self.elements.append(entry)
        if tag not in VOID:
            self._open.append(entry)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1][0] == tag, f"</{tag}> closes <{self._open[-1][0]}>"
        self._open.pop()
        if tag in ("td", "th", "li", "p"):
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        if not {"style", "title", "desc"} & {entry[0] for entry in self._open}:
            for entry in self._open:
                entry[2].append(data)

    def all(self, tag: str, **attributes: str) -> list[str]:
        """The text of every such element; `class_="x y"` wants both classes."""
        return [plain("".join(text)) for _, _, text in self.find(tag, **attributes)]

    def find(self, tag: str, **attributes: str) -> list[tuple[str, dict[str, str], list[str]]]:
        classes = set(attributes.pop("class_", "").split())
        return [
            entry
            for entry in self.elements
            if entry[0] == tag
            and classes <= set(entry[1].get("class", "").split())
            and all(entry[1].get(name) == value for name, value in attributes.items())
        ]

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes, _ in self.elements if attribute in attributes]


def plain(text: str) -> str:
    """One line, ordinary spaces, straight apostrophes."""
    spaces = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    return " ".join(spaces.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
