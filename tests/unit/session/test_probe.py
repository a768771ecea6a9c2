"""Composite commands: what is asked, and how the answer is cut."""

from __future__ import annotations

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import probe


def test_one_line_asks_everything_through_one_temporary_file() -> None:
    line = probe.compose([probe.Probe("a", "ver"), probe.Probe("b", 'type "D:\\x (1)"')], "n1")
    assert line == (
        '(echo ##n1:a&(ver)&echo.&echo ##n1:b&(type "D:\\x (1)")&echo.&echo ##n1:) 1>"%TEMP%\\n1.txt" 2>nul'
        '&type "%TEMP%\\n1.txt"&del "%TEMP%\\n1.txt"'
    )


def test_sections_are_the_raw_bytes_between_markers() -> None:
    stdout = b"##n1:a\r\nhello\r\n\r\n##n1:b\r\n\xff\xfeX\r\n##n1:c\r\n\r\n##n1:\r\n"
    assert probe.split(stdout, "n1") == {"a": b"hello\r\n", "b": b"\xff\xfeX", "c": b""}


@pytest.mark.parametrize("stdout", [b"", b"##n1:a\r\nhel", b"##n2:\r\n", b"Le volume est plein\r\n"])
def test_a_cut_answer_is_refused(stdout: bytes) -> None:
    with pytest.raises(probe.Garbled):
        probe.split(stdout, "n1")


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
