"""The sign of life against a real HTTPS server: when it is given, how a failure is told, what is said."""

from __future__ import annotations

import time

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.watchdog import sign
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret
from unit.monitoring.https_server import TOKEN, Heard

KUMA = "/api/push/" + TOKEN


@pytest.mark.parametrize(
    ("path", "well", "called"),
    [
        (f"/{TOKEN}", True, f"/{TOKEN}"),
        (f"/{TOKEN}", False, f"/{TOKEN}/fail"),
        (f"/{TOKEN}/", False, f"/{TOKEN}/fail"),
        (f"/ping/key/slug?create=1&x={TOKEN}", False, f"/ping/key/slug/fail?create=1&x={TOKEN}"),
        (f"{KUMA}?status=up&msg=OK&ping=", True, f"{KUMA}?status=up&msg=OK&ping="),
        (f"{KUMA}?status=up&msg=OK&ping=", False, f"{KUMA}?status=down&msg=prosecours+monitor.yml"),
    ],
)
def test_a_round_that_ended_calls_the_address_and_a_failed_one_says_so(
    heard: Heard, path: str, well: bool, called: str
) -> None:
    assert sign(Secret(f"https://{heard.place}{path}"), well) == []
    assert heard.paths == [called]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, "no such check"), "does not take it (HTTP 404)"),
        ((302, ""), "does not take it (HTTP 302)"),
        ((200, "OK (not found)"), "does not know the address"),
        ((0, ""), "does not answer within 1 s"),
    ],
)
def test_a_refusal_is_one_sentence_without_the_address(
    heard: Heard, answer: tuple[int, str], said: str
) -> None:
    heard.answers[f"/{TOKEN}"] = answer
    began = time.monotonic()
    problems = sign(Secret(f"https://{heard.place}/{TOKEN}"), True, seconds=1)
    assert time.monotonic() - began < 3
    assert problems == [
        f"No sign of life was given, the watchdog localhost {said}. See prosecours_monitor_watchdog."
    ]


def test_only_a_certificate_that_is_trusted_is_given_the_address(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    [problem] = sign(Secret(f"https://{heard.place}/{TOKEN}"), True)
    assert "shows a certificate that is not trusted" in problem
    assert heard.paths == []


@pytest.mark.parametrize(
    "address", [f"http://localhost/{TOKEN}", TOKEN, f"https://:443/{TOKEN}", f"https://localhost:x/{TOKEN}"]
)
def test_an_address_that_is_none_is_said_before_anything_is_called(address: str) -> None:
    [problem] = sign(Secret(address), True)
    assert problem.startswith("prosecours_monitor_watchdog is no https address")
    assert TOKEN not in problem


def test_a_watchdog_that_is_off_is_said() -> None:
    [problem] = sign(Secret(f"https://localhost:1/{TOKEN}"), True)
    assert "the watchdog localhost cannot be reached. See" in problem
