"""The program that other monitoring runs, started as it does; each form is read as its maker documents it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from unit.documents import fleet

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "monitor" / "files" / "check_prosecours.py"
FORMS = ("nagios", "checkmk", "zabbix", "prtg")
# Monitoring Plugins Development Guidelines, "Performance data".
PERFORMANCE = re.compile(r"'([^'=]+)'=(-?[\d.]+(?:e[+-]?\d+)?)(s|B|%|c)?;([^; ]*);([^; ]*);([^; ]*)")
# Checkmk, "Local checks": state, service with or without quotation marks, figures, text.
LOCAL_CHECK = re.compile(r'([0-3]) "([^"]+)" ((?:[\w]+=-?[\d.]+\|?)+|-) (.+)')


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    found = copy.deepcopy(fleet.report(10))
    found["at"] = datetime.now(UTC).isoformat()
    return found


class Ran:
    """What a run printed, and its exit code."""

    def __init__(self, folder: Path, report: object, *arguments: str) -> None:
        path = folder / "report.json"
        if report is not None:
            path.write_text(report if isinstance(report, str) else json.dumps(report), "utf-8")
        # As on a host that has nothing but Python: neither packages nor variables of this one.
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(PROGRAM), *arguments, str(path)],
            capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def severities(report: dict[str, Any]) -> list[str]:
    return [one["severity"] for client in report["clients"] for one in client["findings"]]


def calm(report: dict[str, Any], *severities: str) -> dict[str, Any]:
    """The report with findings of these severities only."""
    made = copy.deepcopy(report)
    for client in made["clients"]:
        client["findings"] = [one for one in client["findings"] if one["severity"] in severities]
        client["state"] = max(
            (one["severity"] for one in client["findings"]),
            key=("notice", "warning", "critical").index,
            default="ok",
        )
    return made


@pytest.mark.parametrize(
    ("left", "code", "word"),
    [
        (("critical", "warning", "notice"), 2, "CRITICAL"),
        (("warning", "notice"), 1, "WARNING"),
        (("notice",), 0, "OK"),
        ((), 0, "OK"),
    ],
)
def test_nagios(report: dict[str, Any], tmp_path: Path, left: tuple[str, ...], code: int, word: str) -> None:
    ran = Ran(tmp_path, calm(report, *left))
    assert (ran.code, ran.err) == (code, "")
    first, *rest = ran.out.splitlines()
    text, _bar, measured = first.partition(" | ")
    assert text.startswith(f"PROSECOURS {word} - ")
    assert "|" not in text + "".join(rest)
    found = {name: (value, unit) for name, value, unit, *_limits in PERFORMANCE.findall(measured)}
    assert PERFORMANCE.sub("", measured).strip() == "", "nothing but figures"
    for severity in ("critical", "warning", "notice"):
        assert found[severity] == (str(severities(calm(report, *left)).count(severity)), "")
    assert found["oldest_backup"][1] == "s"
    assert found["fullest_volume"][1] == "%"
    assert len(rest) == len(severities(calm(report, *left)))


def test_the_figures_are_those_of_the_report(report: dict[str, Any], tmp_path: Path) -> None:
    client = next(one for one in report["clients"] if one["repository"] and one["findings"])
    status, hosts = client["repository"], {server["host"] for server in client["servers"]}
    ran = Ran(tmp_path, report, "--client", client["id"])
    found = {name: float(value) for name, value, *_rest in PERFORMANCE.findall(ran.out.partition("|")[2])}
    ages = [
        datetime.fromisoformat(report["at"]) - datetime.fromisoformat(server["last"])
        for host, server in status["servers"].items()
        if host in hosts and server["last"]
    ]
    assert found["oldest_backup"] == pytest.approx(max(ages).total_seconds(), rel=1e-5)
    assert found["fullest_volume"] == pytest.approx(
        status["volume"]["newest_bytes"] / status["volume"]["subscribed_gb"] / 1e7, abs=0.05
    )
    assert client["name"] in ran.out


def test_checkmk_has_a_service_for_each_client(report: dict[str, Any], tmp_path: Path) -> None:
    ran = Ran(tmp_path, report, "--as", "checkmk")
    assert (ran.code, ran.err) == (0, ""), "the state is in the line; the program did its work"
    found = {}
    for line in ran.out.splitlines():
        parts = LOCAL_CHECK.fullmatch(line)
        assert parts, line
        found[parts[2]] = int(parts[1])
    wanted = {"ok": 0, "notice": 0, "warning": 1, "critical": 2}
    assert found == {f"Pro Secours {one['id']}": wanted[one["state"]] for one in report["clients"]}


def test_zabbix_discovers_the_clients(report: dict[str, Any], tmp_path: Path) -> None:
    ran = Ran(tmp_path, report, "--as", "zabbix")
    assert (ran.code, ran.err) == (0, "")
    rows = json.loads(ran.out)
    assert [row["{#CLIENT}"] for row in rows] == [client["id"] for client in report["clients"]]
    for row in rows:
        macros = [key for key in row if not re.fullmatch(r"[a-z_]+", key)]
        assert all(re.fullmatch(r"\{#[A-Z0-9_.]+\}", key) for key in macros), "Zabbix' names of macros"


def test_prtg_has_channels_and_limits(report: dict[str, Any], tmp_path: Path) -> None:
    ran = Ran(tmp_path, report, "--as", "prtg")
    assert (ran.code, ran.err) == (0, "")
    answer = json.loads(ran.out)["prtg"]
    channels = {one["channel"]: one for one in answer["result"]}
    assert channels["critical"]["value"] == severities(report).count("critical")
    assert channels["critical"]["limitmode"] == 1
    assert channels["critical"]["limitmaxerror"] == 0
    assert channels["warning"]["limitmaxwarning"] == 0
    assert all(one["float"] == int(one["value"] != int(one["value"])) for one in channels.values())
    assert "error" not in answer


BAD = {
    "missing": (None, "cannot be read (No such file or directory)"),
    "cut": ('{"format": 1, "at": "2026', "is no report of monitor.yml"),
    "another": ('{"clients": [{"id": 1}], "at": "2026-11-24T09:00:00+01:00"}', "is no report of monitor.yml"),
    "no time": ('{"clients": [], "at": "yesterday"}', "is no report of monitor.yml"),
    "old": (..., "The report is 80 h old. See why monitor.yml did not run"),
    "client": (..., 'The report knows no client "gaec_du_moulim".'),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", BAD)
def test_what_is_not_known_is_told(report: dict[str, Any], tmp_path: Path, what: str, form: str) -> None:
    given, sentence = BAD[what]
    old = {**report, "at": (datetime.now(UTC) - timedelta(hours=80)).isoformat()}
    chosen = ["--client", "gaec_du_moulim"] if what == "client" else []
    ran = Ran(tmp_path, {"old": old, "client": report}.get(what, given), "--as", form, *chosen)
    assert "Traceback" not in ran.err
    told = json.loads(ran.out)["prtg"]["text"] if form == "prtg" else ran.out or ran.err
    assert sentence in (ran.err if form == "zabbix" else told)
    match form:
        case "nagios":
            assert ran.code == 3
            assert ran.out.startswith("PROSECOURS UNKNOWN - ")
        case "checkmk":
            assert ran.code == 0
            assert ran.out.startswith('3 "Pro Secours" - ')
        case "prtg":
            assert ran.code == 0
            assert json.loads(ran.out)["prtg"]["error"] == 1
        case "zabbix":  # no rows would make Zabbix forget all clients
            assert ran.code == 1
            assert ran.out.strip() == ""


HOSTILE = "a | b\nCRITICAL c\x1b[2J\u202e\"'`$(id)\u2028" + "x" * 5000


@pytest.mark.parametrize("form", FORMS)
def test_a_text_of_a_client_steers_nothing(report: dict[str, Any], tmp_path: Path, form: str) -> None:
    made = copy.deepcopy(report)
    for client in made["clients"]:
        client["name"] = HOSTILE
        for one in client["findings"]:
            one["sentence"] = HOSTILE
    honest, ran = Ran(tmp_path, report, "--as", form), Ran(tmp_path, made, "--as", form)
    assert ran.code == honest.code
    assert len(ran.out.splitlines()) == len(honest.out.splitlines())
    assert not set(ran.out) & set("\x1b\u202e\u2028")
    assert len(ran.out) < 8192 if form == "nagios" else ran.out
    if form == "nagios":
        assert ran.out.count("|") == 1


def test_more_findings_than_nagios_takes_are_counted(report: dict[str, Any], tmp_path: Path) -> None:
    made = copy.deepcopy(report)
    client = next(one for one in made["clients"] if one["state"] == "critical")
    client["findings"] = [{**client["findings"][0], "id": f"a/b/c/{number}"} for number in range(500)]
    ran = Ran(tmp_path, made)
    assert len(ran.out.encode()) < 8192
    assert ran.out.splitlines()[-1] == f"and {len(severities(made)) - 20} more"
