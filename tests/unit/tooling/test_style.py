"""One form for what comments and docstrings are laid out with; the words are for people to judge."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
FOLDERS = ("molecule", "plugins", "tests", "tools", "windows_lab")
RULE = re.compile(r"# -- \S.* -+")
RULE_ENDS = 105
"""The column to which the rule that begins a section is filled."""


def _comments(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            text, column = token.string, token.end[1]
            if token.type != tokenize.COMMENT:
                continue
            if re.search(r"^# ?--|------$", text) and not (RULE.fullmatch(text) and column == RULE_ENDS):
                yield f"{token.start[0]}: a section begins with `# -- name ---`, to column {RULE_ENDS}"
            if text.startswith("#:"):
                yield f"{token.start[0]}: a note on an attribute is a string below it"


def _docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            continue
        lines = str(node.value.value).rstrip().split("\n")
        if len(lines) > 1 and len(lines[-2].strip()) > 60 and len(lines[-1].split()) <= 2:
            yield f"{node.end_lineno}: a docstring ends with a word or two on a line of their own"


def test_comments_and_docstrings_have_one_form() -> None:
    files = [path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py")]
    wrong = [
        f"{path.relative_to(CHECKOUT)}:{what}"
        for path in files
        for what in (*_comments(path), *_docstrings(path))
    ]
    assert len(files) > 200
    assert not wrong, "\n".join(wrong)
