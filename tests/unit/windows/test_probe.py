"""Composite commands: what is asked, and how the answer is cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.errors import ProSecoursError
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows import probe
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.command_line import CannotQuote
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output


def test_one_line_asks_everything_through_one_temporary_file() -> None:
    line = probe.compose([probe.Probe("a", "ver"), probe.Probe("b", 'type "D:\\x (1)"')], "n1")
    assert line == (
        '(echo ##n1:a&(ver)&echo.&echo ##n1:b&(type "D:\\x (1)")&echo.&echo ##n1:) 1>"%TEMP%\\n1.txt" 2>nul'
        '&type "%TEMP%\\n1.txt"&del "%TEMP%\\n1.txt"'
    )


def test_sections_are_the_raw_bytes_between_markers() -> None:
    stdout = b"##n1:a\r\nhello\r\n\r\n##n1:b\r\n\xff\xfeX\r\n##n1:c\r\n\r\n##n1:\r\n"
    assert probe.split(stdout, "n1") == {"a": b"hello\r\n", "b": b"\xff\xfeX", "c": b""}


class Host:
    """A host that answers a command with what `answer` makes of its nonce and the names that are asked."""

    host = "moulin-srv1"
    clock_offset = None

    def __init__(self, answer: Callable[[str, list[str]], bytes]) -> None:
        self.answer = answer
        self.lines: list[str] = []

    def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
        self.lines.append(line)
        markers = re.findall(r"echo ##(\w+):(\w*)", line)
        return Output(0, self.answer(markers[0][0], [name for _, name in markers if name]), b"")

    def put_file(self, source: str, target: str) -> None:
        raise AssertionError("a question delivers nothing")


def whole(nonce: str, names: list[str]) -> bytes:
    """An answer in which each probe printed its own name."""
    return "".join([*(f"##{nonce}:{name}\r\n{name}\r\n" for name in names), f"##{nonce}:\r\n"]).encode()


def test_questions_come_back_by_name() -> None:
    host = Host(whole)
    assert probe.ask(host, [probe.Probe("a", "ver"), probe.Probe("b", "ver")]) == {"a": b"a", "b": b"b"}
    assert len(host.lines) == 1


def test_what_one_line_does_not_hold_takes_more_and_loses_nothing() -> None:
    host = Host(whole)
    names = [f"n{number}" for number in range(20)]
    answers = probe.ask(host, [probe.Probe(name, f"type {'x' * 1000}") for name in names])
    assert list(answers) == names
    assert 3 <= len(host.lines) < len(names)
    assert max(map(len, host.lines)) <= 8191
    with pytest.raises(CannotQuote):
        probe.ask(host, [probe.Probe("a", "x" * 8191)])


@pytest.mark.parametrize("stdout", ["", "##{0}:a\r\nhel", "##n2:\r\n", "Le volume est plein\r\n"])
def test_a_cut_answer_is_refused_with_its_host_and_a_remedy(stdout: str) -> None:
    host = Host(lambda nonce, _: stdout.format(nonce).encode())
    with pytest.raises(ProSecoursError, match=r"^moulin-srv1: the host answered \d+ bytes without.*%TEMP%"):
        probe.ask(host, [probe.Probe("a", "ver")])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("été".encode(), "été"),
        ("\ufeffété".encode(), "été"),
        ("été".encode("cp850"), "été"),
        ("\ufeffété\r\n".encode("utf-16-le"), "été\r\n"),
        ("D:PAI(A;;FA;;;SY)".encode("utf-16-le"), "D:PAI(A;;FA;;;SY)"),
        (b"", ""),
    ],
)
def test_decode(data: bytes, text: str) -> None:
    assert probe.decode(data) == text
