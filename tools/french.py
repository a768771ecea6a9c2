"""The French that clients and technicians read, checked by rules: part of `make lint`.

Guides, templates, and the sentences of findings and documents. Grammalecte reads them for spelling and
grammar (`tools/setup grammar` fetches it); the tables below are the house's own. What is in code, between
backticks or filled in later is not read. A word of the field goes into french_words.txt.

    python tools/french.py [FILE ...]
"""

from __future__ import annotations

import ast
import hashlib
import html
import importlib
import json
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
WORDS = Path(__file__).with_name("french_words.txt")
ROOMS = "plugins/plugin_utils/"
READ = (
    "README.fr.md",
    "docs/fr/*.md",
    f"{ROOMS}documents/templates/*.html.j2",
    f"{ROOMS}documents/templates/*.txt.j2",
    f"{ROOMS}documents/*.py",
    f"{ROOMS}documents/instructions.yml",
    f"{ROOMS}monitoring/*.py",
    f"{ROOMS}restore/record.py",
    f"{ROOMS}contract/agreed.py",
)
"""Not form.yml and catalogue.yml: they are the contract's own words, its slips included. Nor restaurer.cmd,
which prints without accents, for any code page."""

FILLED = "X"
"""Stands for what is not read: code, a path, a field."""

TYPOGRAPHY = {
    r"[^\s(«X][;!?](?=\s|$)|[^\s\dX]:(?=\s|$)": "a space stands before ; : ! ?",
    r"«\S|\S»": "a space stands inside « and »",
    r"\n[;:!?»]": "a line does not begin with ; : ! ? or »",
    r"’": "the apostrophe is straight here: print has it typographic",
    r'"\w': "a quotation is in « and »",
    r"\.\.\.": "three points are one character: …",
    r"\d(?:%|[hH]\b|[GMkT]o\b)": "a space stands before a unit, an h or a %",
    r"\b\d+ ?[GMT]B\b": "a size is in Go, Mo or To",
    r"\b\d{4}-\d\d-\d\d\b": "a date is 23 novembre 2026, in a table 23/11/2026",
    r"(?<![\d/])\b1 (?:janv|févr|mars|avr|mai|juin|juil|août|sept|oct|nov|déc)": "the first is 1er",
    r"\(s\)": "a number has its singular and its plural",
    r"\d(?:[eè]me|nd|er?i?ème)s?\b": "an ordinal is 2e, 3e",
}
"""What is wrong -> the rule."""

TERMS = {
    r"e-?mails?|mails?|mèls?": "courriel",
    r"backups?": "sauvegarde",
    r"snapshots?": "version of a backup, or cliché instantané of Windows",
    r"logs?": "journal",
    r"logins?": "identifiant",
    r"timers?": "minuterie",
    r"vaults?": "coffre",
    r"firewalls?|parefeux?": "pare-feu",
    r"repository|serveurs? (?:de|du|des) dépôts?": "dépôt, and hôte du dépôt for the machine",
    r"rétention": "conservation",
    r"findings?|constatations?": "constat",
    r"exercices? de restauration|tests? de restauration": "essai de restauration",
    r"tickets?": "demande",
    r"superviser|supervision|monitoring": "surveillance",
}
"""A word -> the one by which the same thing is called everywhere."""

QUIET = dict.fromkeys(("apos", "nbsp", "unit", "num", "esp", "typo", "eepi", "maj", "virg"), False)
"""Grammalecte's options that are off: TYPOGRAPHY has its own, and cells and legends begin as they like."""


class Text(NamedTuple):
    """A paragraph, a cell or a sentence, on one line; `line` of its file is where it begins."""

    path: Path
    line: int
    words: str


_CODE = re.compile(
    r"« (?:restic|vssadmin) [a-z ]+ »|--\w[\w-]*|\S*[\w)][\\_/]\S*|\\\S+"
    r"|Pro Secours|[\w*-]+(?:\.[a-z]\w*)+|prosecours-\w+"
)
"""Commands, options, paths, names of files and variables that are not between backticks; and the product."""

# -- what is read ---------------------------------------------------------------------------------------


def texts(path: Path) -> Iterator[Text]:
    """The French of a file."""
    source = path.read_text("utf-8")
    how = {".md": _markdown, ".py": _python, ".yml": _yaml}.get(path.suffix, _template)
    for line, words in how(source):
        shown = _CODE.sub(FILLED, words).strip()
        if re.search(r"[a-zà-ÿ]{2}", shown):
            yield Text(path, line, shown)


def _markdown(source: str) -> Iterator[tuple[int, str]]:
    """Paragraphs, list entries and cells of tables."""
    fence, begun, block = "", 1, ""
    for number, raw in enumerate([*source.splitlines(), ""], start=1):
        line = raw.strip().removeprefix("> ")
        if mark := re.match(r"```|~~~", line):
            fence = "" if fence else mark[0]
        inside = bool(fence) or bool(mark) or (raw.startswith("    ") and not block)
        starts = re.match(r"[-*+] |\d+\. |#+ |\|", line)
        if block and (inside or not line or starts):
            yield begun, _unmarked(block)
            block = ""
        if inside or not line or re.fullmatch(r"[|: -]+", line):
            continue
        if line.startswith("|"):
            yield from ((number, _unmarked(cell)) for cell in line.strip("|").split("|"))
            continue
        begun = begun if block else number
        block = f"{block}\n{line}" if block else line[starts.end() :] if starts else line


def _unmarked(text: str) -> str:
    # What is in italics is foreign.
    text = re.sub(r"`[^`]*`|<?https?://\S+>?|(?<!\*)\*[^*]+\*(?!\*)", FILLED, text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\*\*?|(?<!\w)_|_(?!\w)", "", text)


_JINJA = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}", re.DOTALL)
_UNREAD = re.compile(
    r"<!DOCTYPE.*?>|<(code|span class=.print.)>.*?</(?:code|span)>|<(style|script|svg)\b.*?</\2>"
    r"|{% block (?:style|policy) %}.*?{% endblock %}",
    re.DOTALL,
)
_TAG = re.compile(r"</?(\w+)[^>]*>")
_INLINE = {"a", "span", "strong", "em", "code", "b", "i"}


def _template(source: str) -> Iterator[tuple[int, str]]:
    """What a template says itself, element by element, and the texts in its attributes and its tables."""

    def blank(found: re.Match[str]) -> str:
        # What follows it stands in the place of what was before.
        other = re.match(r"{%-? *(?:else|elif)", found[0])
        return FILLED * found[0].startswith("{{") + "\n\0" * bool(other) + "\n" * found[0].count("\n")

    for found in re.finditer(r"\"([^\"\n]*[à-ÿ«][^\"\n]*)\"", source):
        if "<" not in found[1] and "{" not in found[1]:
            yield source[: found.start()].count("\n") + 1, found[1]
    plain = _UNREAD.sub(lambda found: FILLED * bool(found[1]) + "\n" * found[0].count("\n"), source)
    plain = _JINJA.sub(blank, plain)
    plain = _TAG.sub(
        lambda found: ("" if found[1] in _INLINE else "\n\0") + "\n" * found[0].count("\n"), plain
    )
    line = 1
    if "<" not in source:
        plain = plain.replace("\n\0", "\0").replace("\n", "\n\n\0")
    for part in re.split(r"\n?\0", plain):
        start = line + len(part) - len(part.lstrip("\n"))
        yield start, re.sub(r"\s*\n\s*", " ", html.unescape(part).replace("\N{NO-BREAK SPACE}", " "))
        line += part.count("\n")


def _python(source: str) -> Iterator[tuple[int, str]]:
    """Strings with an accent, docstrings and notes aside: the French ones."""
    tree = ast.parse(source)
    notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            words = "".join(
                str(part.value) if isinstance(part, ast.Constant) else FILLED for part in node.values
            )
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | notes
        ):
            words = re.sub(r"{\w*}", FILLED, node.value)
        else:
            continue
        if re.search(r"[à-ÿÀ-ß«œŒ]", words):
            yield node.lineno, words.replace("\n", " ")


def _yaml(source: str) -> Iterator[tuple[int, str]]:
    """The values that are sentences."""
    for node in _scalars(yaml.compose(source)):
        if " " in node.value:
            yield node.start_mark.line + 1, node.value.replace("\n", " ")


def _scalars(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    for child in node.value if isinstance(node, yaml.CollectionNode) else ():
        yield from _scalars(child[1] if isinstance(child, tuple) else child)


# -- what is wrong with it ------------------------------------------------------------------------------


class Reader:
    """Grammalecte, loaded when there is something new: what was read before is in build/french.json."""

    def __init__(self, known: Path) -> None:
        self._engine: Any = None
        self._known = known
        self._before: dict[str, list[str]] = {}
        self._now: dict[str, list[str]] = {}
        self._words = {line for line in WORDS.read_text("utf-8").splitlines() if line and line[0] != "#"}
        self._base = hashlib.sha256(Path(__file__).read_bytes() + WORDS.read_bytes()).hexdigest()
        if known.exists():
            self._before = json.loads(known.read_text("utf-8"))

    def complaints(self, words: str) -> list[str]:
        """What Grammalecte says of a text."""
        key = hashlib.sha256(f"{self._base}{words}".encode()).hexdigest()
        if key not in self._now:
            self._now[key] = self._before[key] if key in self._before else list(self._ask(words))
        return self._now[key]

    def keep(self) -> None:
        self._known.parent.mkdir(exist_ok=True)
        self._known.write_text(json.dumps(self._now), "utf-8")

    def _ask(self, words: str) -> Iterator[str]:
        self._engine = self._engine or _engine()
        words = words.replace("\n", " ")
        options = {**self._engine.getGCEngine().getOptions(), **QUIET}
        errors, unknown = self._engine.getParagraphErrors(words, dOptions=options)
        for error in sorted(errors, key=lambda error: error["nStart"]):
            if FILLED not in words[error["nStart"] : error["nEnd"]]:
                yield f"« {words[error['nStart'] : error['nEnd']]} »: {error['sMessage']}"
        for error in unknown:
            word = error["sValue"]
            if word not in self._words and not re.search(rf"\d|^{FILLED}|{FILLED}$", word):
                yield f"« {word} » is no French word: correct it, or add it to {WORDS.name}"


def _engine() -> Any:
    """Grammalecte. Raises SystemExit when it is not there."""
    cache = Path(os.environ.get("PROSECOURS_CACHE", Path.home() / ".cache" / "prosecours"))
    for folder in sorted(cache.glob("grammalecte-*/usr/lib/python3/dist-packages")):
        sys.path.append(str(folder))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module("grammalecte.grammar_checker")
    except ModuleNotFoundError:
        raise SystemExit("Grammalecte is not here: run tools/setup grammar.") from None
    return module.GrammarChecker("fr")


def wrong(text: Text, reader: Reader) -> Iterator[str]:
    """A sentence for each thing that is wrong with a text."""
    for pattern, rule in TYPOGRAPHY.items():
        for found in re.finditer(pattern, text.words, re.MULTILINE):
            yield f"« {text.words[max(0, found.start() - 12) : found.end() + 4]} »: {rule}"
    for pattern, term in TERMS.items():
        for found in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text.words, re.IGNORECASE):
            yield f"« {found[0]} »: the word is {term}"
    yield from reader.complaints(text.words)


def main(names: list[str]) -> int:
    paths = [Path(name) for name in names] or [path for one in READ for path in sorted(CHECKOUT.glob(one))]
    reader = Reader(CHECKOUT / "build" / "french.json")
    found = [
        f"{os.path.relpath(text.path)}:{text.line}: {sentence.replace(chr(10), ' ')}"
        for path in paths
        for text in texts(path)
        for sentence in dict.fromkeys(wrong(text, reader))
    ]
    if not names:
        reader.keep()
    print(*found, sep="\n", end="\n" * bool(found))
    return min(1, len(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
