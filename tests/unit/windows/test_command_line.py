"""Quoting against an independent model of both readers of a line: cmd.exe, then CommandLineToArgvW."""

from __future__ import annotations

import string

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import command_line
from hypothesis import given
from hypothesis import strategies as st

# Every character that a Windows file name may hold and a little more, the awkward ones often.
AWKWARD = " &^()!'`;,=+[]{}@#$~-é€Œ\\/"
NAMES = st.text(
    st.one_of(
        st.sampled_from(AWKWARD),
        st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters='%"\ufffe\uffff'),
    ),
    min_size=1,
    max_size=260,
)


def cmd_reads(line: str) -> str:
    """What cmd.exe /c makes of one simple command: the line that the program gets. Fails on any operator.

    The session's SYSTEM_PATH stands before it: so no quote is the first character, which cmd /? drops.
    """
    assert not command_line.SYSTEM_PATH.startswith('"')
    quoted = escaped = False
    seen = []
    for character in line:
        if escaped:
            escaped = False
        elif character == '"':
            quoted = not quoted
        elif not quoted and character == "^":
            escaped = True
            continue
        elif not quoted and character in "&|<>()":
            raise AssertionError(f"cmd takes {character!r} for an operator in {line!r}")
        assert character != "%", "cmd would expand a variable"
        seen.append(character)
    assert not quoted, "a quote is left open"
    return "".join(seen)


def argv_reads(line: str) -> list[str]:
    """CommandLineToArgvW: backslashes are literal unless a quote follows; then each pair is one."""
    arguments: list[str] = []
    at = 0
    while at < len(line):
        while at < len(line) and line[at] in " \t":
            at += 1
        if at == len(line):
            break
        value, quoted = "", False
        while at < len(line) and (quoted or line[at] not in " \t"):
            run = 0
            while at < len(line) and line[at] == "\\":
                run, at = run + 1, at + 1
            if at < len(line) and line[at] == '"':
                value += "\\" * (run // 2)
                if run % 2:
                    value += '"'
                else:
                    quoted = not quoted
                at += 1
            else:
                value += "\\" * run
                if run == 0:
                    value += line[at]
                    at += 1
        arguments.append(value)
    return arguments


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_arguments_arrive_as_they_were(values: list[str]) -> None:
    line = command_line.line("restic.exe", *map(command_line.argument, values))
    assert argv_reads(cmd_reads(line)) == ["restic.exe", *values]


@given(NAMES, NAMES)
def test_a_quoted_program_and_its_arguments_arrive(program: str, value: str) -> None:
    program = program.rstrip("\\") + ".exe"
    line = command_line.line(f'"{program}"', command_line.argument(value))
    assert cmd_reads(line) == f'"{program}" {command_line.argument(value)}'


@given(NAMES)
def test_a_path_for_cmd_itself_stays_between_its_quotes(value: str) -> None:
    assert cmd_reads(command_line.line("type", command_line.path(value))) == f'type "{value}"'


@pytest.mark.parametrize(
    ("value", "quoted"),
    [
        ("D:\\isagiwf\\backup", "D:\\isagiwf\\backup"),
        ("C:\\Program Files\\ProSecours", '"C:\\Program Files\\ProSecours"'),
        ("D:\\Données & notes (2026)^!\\", '"D:\\Données & notes (2026)^!\\\\"'),
        ("D:\\l'été\\", '"D:\\l\'été\\\\"'),
        ("D:\\" + "é" * 250, '"D:\\' + "é" * 250 + '"'),
    ],
)
def test_argument(value: str, quoted: str) -> None:
    assert command_line.argument(value) == quoted


@pytest.mark.parametrize("value", ["", "100%", "a\nb", "a\rb", "a\0b", 'a"b', "a\tb", "\ud800", "\ufffe"])
def test_what_cannot_be_carried_is_refused(value: str) -> None:
    for quote in (command_line.argument, command_line.path):
        with pytest.raises(command_line.CannotQuote):
            quote(value)


def test_a_line_has_a_longest_length_and_no_line_end() -> None:
    # 33 characters of cmd.exe itself, and the PATH with its two variables, count too (KB 830473).
    room = 8191 - 33 - (len(command_line.SYSTEM_PATH) + 2 * (80 - len("%SystemRoot%"))) - len("echo ")
    assert command_line.line("echo", "x" * room)
    for word in ("x" * (room + 1), "a\nb"):
        with pytest.raises(command_line.CannotQuote):
            command_line.line("echo", word)


def test_variables_count_as_what_they_stand_for() -> None:
    assert command_line.line("echo", "%TEMP%" * 2, "x" * 7700)
    with pytest.raises(command_line.CannotQuote, match="8191"):
        command_line.line("echo", "%TEMP%" * 5, "x" * 7700)


def test_plain_words_stay_unquoted() -> None:
    plain = string.ascii_letters + string.digits + "_./:\\+-"
    assert command_line.argument(plain) == plain
