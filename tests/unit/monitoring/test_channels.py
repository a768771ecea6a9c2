"""Findings by Apprise against a real HTTPS server: what is told, what is not, what is said of a refusal."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring import channels, mail
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret
from unit.documents import fleet
from unit.monitoring.https_server import TOKEN, Heard

REPORT = fleet.report(10)


def told(address: str, report: dict[str, Any] = REPORT) -> list[str]:
    return channels.announce(fleet.typed(report), 2, Secret(address), seconds=5)


def only(*statuses: str) -> dict[str, Any]:
    changed = copy.deepcopy(REPORT)
    for client in changed["clients"]:
        client["findings"] = [one for one in client["findings"] if one["status"] in statuses]
    changed["closed"] = changed["closed"] if "closed" in statuses else []
    return changed


def test_what_a_mail_says_is_told(heard: Heard) -> None:
    assert told(f"jsons://{heard.place}/{TOKEN}") == []
    wanted = mail.announcement(fleet.typed(REPORT), ())
    assert wanted is not None
    [body] = heard.bodies
    assert heard.paths == [f"/{TOKEN}"]
    assert (body["title"], body["type"]) == (wanted.subject, "failure")
    assert body["message"].split() == wanted.text.split()


@pytest.mark.parametrize(("statuses", "kind"), [(("closed",), "success"), (("reminded",), None)])
def test_its_type_is_that_of_the_worst(heard: Heard, statuses: tuple[str, ...], kind: str | None) -> None:
    report = only(*statuses)
    told(f"jsons://{heard.place}/{TOKEN}", report)
    severities = {one["severity"] for client in report["clients"] for one in client["findings"]}
    wanted = kind or ("failure" if "critical" in severities else "warning")
    assert [body["type"] for body in heard.bodies] == [wanted]


def test_what_was_told_is_not_told_again(heard: Heard) -> None:
    assert told(f"jsons://{heard.place}/{TOKEN}", only("open")) == []
    assert heard.paths == []


def test_a_refusal_is_one_sentence_without_the_address(
    heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    heard.answers[f"/{TOKEN}"] = (403, f"{TOKEN} is not allowed")
    assert told(f"jsons://user:{TOKEN}@{heard.place}/{TOKEN}") == [
        "Channel 2 (JSON) was not told what monitoring found (HTTP 403). See prosecours_monitor_channels,"
        " and try its address with apprise."
    ]
    assert capfd.readouterr() == ("", "")


def test_a_channel_that_never_answers_ends_in_time(heard: Heard) -> None:
    heard.answers[f"/{TOKEN}"] = (0, "")
    [problem] = channels.announce(
        fleet.typed(REPORT), 1, Secret(f"jsons://{heard.place}/{TOKEN}"), seconds=0.5
    )
    assert "no connection, or no answer within 0.5 s" in problem


def test_a_certificate_that_is_not_trusted_is_told_nothing(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    [problem] = told(f"jsons://{heard.place}/{TOKEN}")
    assert "was not told" in problem
    assert heard.bodies == []


@pytest.mark.parametrize(
    ("channel", "concerns", "address"),
    [
        ("jsons://x/a=b", ("applications", "systems"), "jsons://x/a=b"),
        ("systems=jsons://x/a=b", ("systems",), "jsons://x/a=b"),
        (" applications = jsons://x ", ("applications",), "jsons://x"),
        ("system=jsons://x", ("applications", "systems"), "system=jsons://x"),
    ],
)
def test_a_channel_may_be_one_contact_s(channel: str, concerns: tuple[str, ...], address: str) -> None:
    assert channels.addressed(channel) == (concerns, Secret(address))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            f"system=jsons://localhost/{TOKEN}",
            "Channel 2 has before its address what is no contact: write applications= or systems=",
        ),
        (f"json://localhost/{TOKEN}", "(JSON) would send in clear: let its address begin with jsons://."),
        (f"jsons://localhost/{TOKEN}?verify=no", "(JSON) would take any certificate: leave verify=no"),
        (f"mailto://a:{TOKEN}@x.example?mode=insecure", "would send in clear"),
        (f"nonsense://{TOKEN}", "is no address that Apprise knows"),
        (TOKEN, "is no address that Apprise knows"),
    ],
)
def test_an_address_that_will_not_do_is_said_and_not_used(
    address: str, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    [problem] = told(address)
    assert problem.startswith("Channel 2 ")
    assert said in problem
    assert TOKEN not in problem
    assert capfd.readouterr() == ("", "")
