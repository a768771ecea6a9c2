"""Facts -> findings -> report, and how many commands a host is asked to run for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import HostContract
from ansible_collections.prosecours.backup.plugins.plugin_utils.files import CannotWrite
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import checks as preflight_checks
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import facts as preflight_facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight import run as preflight
from ansible_collections.prosecours.backup.plugins.plugin_utils.preflight.facts import (
    Entry,
    EntryFacts,
    Facts,
    Way,
    Windows,
    Writer,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.link import Rate
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.robocopy import Tree
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import (
    Output,
    TimedOut,
    Unreachable,
)
from jsonschema import Draft202012Validator
from unit.contract.contracts import OF_HOST
from unit.preflight.test_facts import LISTED

SCHEMA = Path(__file__).parents[3] / "schemas" / "preflight.schema.json"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GB = 10**9

BACKUP = Entry("isagiwf_backup", r"D:\isagiwf\backup", "directory")
PATTERN = Entry("isagiwf_giw", r"D:\isagiwf\B????.GIW", "pattern")
OFFICE = Entry("office", "D:\\Bureautique d'été & co", "directory")

CONTRACT: dict[str, Any] = {
    **OF_HOST,
    "client": {"id": "moulin", "name": "GAEC du Moulin", "reference": "PS-2026-0042"},
    "host": "moulin-srv1",
    "subscribed_gb": 200,
    "options": [],
    "perimeter": [entry.__dict__ for entry in (BACKUP, PATTERN, OFFICE)],
    "excludes": [],
    "upload_limit_kib": 0,
    "uplink_mbit": 10,
}
REPOSITORY = {
    "url": "rest:https://depot.example:8000/moulin/",
    "username": "moulin",
    "password": 'p"\\w',
    "ca": "",
}
GOOD = Facts(
    groups=frozenset({"S-1-5-32-544", "S-1-16-12288"}),
    windows=Windows(20348, "Server", "Windows Server 2022 Standard"),
    tar="3.5.2",
    clock_offset=0.4,
    free=50 * GB,
    entries=(
        EntryFacts(BACKUP, Tree(3, 40, 20 * GB)),
        EntryFacts(PATTERN, Tree(1, 12, 2 * GB)),
        EntryFacts(OFFICE, Tree(30, 900, 8 * GB)),
    ),
    way=Way(0, 200, "system", signed_in=True),
    deployed=False,
    backed_up=False,
)


def case(
    facts: Facts = GOOD, contract: dict[str, Any] | None = None, **repository: str
) -> preflight_checks.Case:
    whole = HostContract.from_plain({**CONTRACT, **(contract or {})})
    look = preflight.wanted(whole, REPOSITORY, r"C:\Program Files\ProSecours")
    return preflight_checks.Case(whole, look, facts)


def findings(facts: Facts = GOOD, contract: dict[str, Any] | None = None) -> dict[str, str]:
    report = preflight.judge(case(facts, contract), NOW)
    return {finding.id: finding.severity for finding in report.findings}


def test_a_good_server_is_ready() -> None:
    report = preflight.judge(case(), NOW)
    assert report.verdict == "ready"
    assert report.refusal == ""
    assert report.findings == ()


def trees(*found: Tree | int | None) -> tuple[EntryFacts, ...]:
    """Entry facts in the order of the contract: a tree, an error code or None."""
    return tuple(
        EntryFacts(entry, tree, None) if isinstance(tree, Tree) else EntryFacts(entry, None, tree)
        for entry, tree in zip((BACKUP, PATTERN, OFFICE), found, strict=True)
    )


LITTLE = Tree(1, 1, GB)
FAULTS: list[tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = [
    # facts that differ, contract that differs -> findings
    ({"groups": frozenset({"S-1-1-0", "S-1-16-8192"})}, {}, {"rights": "blocks"}),
    ({"groups": frozenset({"S-1-5-32-544", "S-1-16-8192"})}, {}, {"rights_filtered": "blocks"}),
    ({"groups": frozenset({"S-1-5-32-544", "S-1-16-16384"})}, {}, {}),
    ({"windows": Windows(14393, "Server", "Windows Server 2016 Standard")}, {}, {}),
    ({"windows": Windows(26100, "Server Core", "Windows Server 2025 Datacenter")}, {}, {}),
    ({"windows": Windows(18363, "Server Core", "Windows Server Standard")}, {}, {}),
    (
        {"windows": Windows(9600, "Server", "Windows Server 2012 R2 Standard")},
        {},
        {"windows_unsupported": "blocks"},
    ),
    ({"windows": Windows(19045, "Client", "Windows 10 Pro")}, {}, {"windows_unsupported": "blocks"}),
    ({"windows": Windows(29000, "Server", "Windows Server vNext")}, {}, {"windows_unsupported": "blocks"}),
    ({"windows": Windows(None, "", "")}, {}, {"windows_unsupported": "blocks"}),
    ({"tar": None}, {}, {"tar_missing": "informs"}),
    ({"clock_offset": 120.0}, {}, {}),
    ({"clock_offset": -121.0}, {}, {"clock": "warns"}),
    ({"clock_offset": 600.0}, {}, {"clock": "warns"}),
    ({"clock_offset": -7200.0}, {}, {"clock": "blocks"}),
    ({"clock_offset": None}, {}, {}),
    ({"free": None}, {}, {"disk_unknown": "warns"}),
    ({"free": 499_999_999}, {}, {"disk": "blocks"}),
    ({"free": 600_000_000}, {}, {"disk": "warns"}),
    ({"entries": trees(LITTLE, LITTLE, 2)}, {}, {"missing": "warns"}),
    ({"entries": trees(LITTLE, Tree(1, 0, 0), LITTLE)}, {}, {"missing": "warns"}),
    ({"entries": trees(2, 3, 21)}, {}, {"missing": "blocks"}),
    ({"entries": trees(5, LITTLE, LITTLE)}, {}, {"unreadable": "warns"}),
    ({"entries": trees(None, LITTLE, LITTLE)}, {}, {"unreadable": "warns"}),
    ({"entries": trees(Tree(9, 9, 9, unreadable=2), LITTLE, LITTLE)}, {}, {"partly_unreadable": "informs"}),
    ({"backed_up": True}, {"subscribed_gb": 30}, {"volume_nearly": "warns"}),
    ({"backed_up": True}, {"subscribed_gb": 29}, {"volume": "blocks"}),
    ({"way": Way(6, None, "system")}, {}, {"repository_way": "blocks"}),
    ({"way": Way(99, None, "system")}, {}, {"repository_way": "blocks"}),
    ({"way": Way(60, None, "contract")}, {}, {"repository_way": "blocks"}),
    ({"way": Way(60, None, "outdated")}, {}, {"repository_authority": "informs"}),
    ({"way": Way(0, 401, "none")}, {}, {"repository_unproved": "informs"}),
    ({"way": Way(0, 401, "contract")}, {}, {}),
    ({"entries": trees(LITTLE, 3, LITTLE), "mapped": {"D": r"\\nas\data"}}, {}, {"network_drive": "warns"}),
    ({"entries": trees(LITTLE, 3, LITTLE), "mapped": {"I": r"\\nas\data"}}, {}, {"missing": "warns"}),
    ({"defended": True}, {}, {"antivirus": "informs"}),
    ({"entries": (EntryFacts(BACKUP, LITTLE, None, 2),)}, {}, {"apart": "warns"}),
    ({"shell_memory": 1023}, {}, {"shell_memory": "informs"}),
    ({"shell_memory": 1024}, {}, {}),
    ({"shell_memory": 0}, {}, {}),
    ({"writers": (Writer("WMI Writer", 1), Writer("System Writer", 6))}, {}, {"vss_writers": "informs"}),
    ({"writers": (Writer("System Writer", 15),) * 40}, {}, {"vss_writers": "informs"}),
    ({"writers": tuple(Writer("System Writer", state) for state in (0, 1, 2, 3, 4, 5, 16, 99))}, {}, {}),
    ({"way": Way(0, 401, "unable")}, {}, {"repository_unproved": "informs"}),
    ({"way": Way(7, None, "unable")}, {}, {"repository_way": "blocks"}),
    ({"way": Way(0, 401, "contract", signed_in=True)}, {}, {"repository_answer": "blocks"}),
    ({"way": Way(0, 403, "system")}, {}, {"repository_answer": "blocks"}),
    ({"way": Way(0, 407, "system")}, {}, {"repository_answer": "blocks"}),
    ({"way": Way(0, 404, "system", signed_in=True)}, {}, {}),
    ({"way": Way(0, 502, "none")}, {}, {"repository_answer": "blocks"}),
    ({"way": Way(None, None, "system")}, {}, {"repository_not_checked": "informs"}),
    ({"way": None}, {}, {"repository_not_checked": "informs"}),
    ({}, {"uplink_mbit": 1}, {"first_backup_long": "warns"}),
    ({}, {"uplink_mbit": 1, "options": ["import"]}, {"first_backup_import": "informs"}),
    ({}, {"uplink_mbit": 100, "upload_limit_kib": 100}, {"first_backup_long": "warns"}),
    ({"backed_up": True}, {"uplink_mbit": 1}, {}),
    ({"rate": Rate(100_000.0, 10**6)}, {"uplink_mbit": None}, {"first_backup_long": "warns"}),
]


@pytest.mark.parametrize(("facts", "contract", "expected"), FAULTS)
def test_each_fault_is_one_finding(
    facts: dict[str, Any], contract: dict[str, Any], expected: dict[str, str]
) -> None:
    assert findings(replace(GOOD, **facts), contract) == expected


def test_all_that_blocks_is_said_at_once_and_only_that() -> None:
    bad = replace(GOOD, groups=frozenset(), way=Way(7, None, "system"), clock_offset=-300.0, tar=None)
    report = preflight.judge(case(bad), NOW)
    assert report.verdict == "blocked"
    assert "local administrators" in report.refusal
    assert "https://depot.example:8000/moulin/config cannot be reached" in report.refusal
    assert "clock" not in report.refusal
    assert "clock is 5 min slow" in report.table()


def test_over_the_volume_names_the_largest_directories() -> None:
    big = replace(GOOD, backed_up=True, largest=((r"D:\isagiwf\backup\2019", 15 * GB),))
    report = preflight.judge(case(big, {"subscribed_gb": 10, "excludes": ["D:\\*\\vieux"]}), NOW)
    assert "30 GB, 20 GB over the subscribed 10 GB" in report.refusal
    assert r"D:\isagiwf\backup\2019 15 GB" in report.refusal
    assert r"counted although excluded: D:\*\vieux" in report.refusal


@pytest.mark.parametrize(
    ("contract", "rate", "hours", "basis"),
    [
        # 30 GB at 10 Mbit/s x 0.9 = 1.125 MB/s
        ({"uplink_mbit": 10}, None, 30e9 / 1.125e6 / 3600, "nominal"),
        ({"uplink_mbit": 10, "upload_limit_kib": 512}, None, 30e9 / (512 * 1024) / 3600, "limited"),
        ({"uplink_mbit": 10}, Rate(1.0, 1), 30e9 / 1.125e6 / 3600, "nominal"),
        ({"uplink_mbit": None}, Rate(2e6, 1), 30e9 / 2e6 / 3600, "measured"),
    ],
)
def test_hours_of_the_first_backup(
    contract: dict[str, Any], rate: Rate | None, hours: float, basis: str
) -> None:
    estimate = preflight_checks.first_backup(case(replace(GOOD, rate=rate), contract))
    assert estimate is not None
    assert estimate.hours == pytest.approx(hours)
    assert estimate.basis == basis


def test_no_rate_is_no_estimate() -> None:
    assert preflight_checks.first_backup(case(GOOD, {"uplink_mbit": None})) is None


# -- one session ----------------------------------------------------------------------------------------


class Host:
    """A recording session: answers each composite command from a table of sections."""

    host = "moulin-srv1"
    clock_offset: float | None = 0.0

    def __init__(self, sections: dict[str, bytes]) -> None:
        self.sections = sections
        self.lines: list[str] = []
        self.stdin: list[bytes] = []

    def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
        self.lines.append(line)
        self.stdin.append(b"".join(stdin))
        if line.startswith("curl.exe "):
            return Output(0, b"HTTP/1.1 200 OK\r\n\r\n", b"")
        if line.startswith("type "):
            return Output(0, bytes(1_500_000), b"")
        if line == preflight_facts.WRITERS:
            return self.writers(timeout)
        names = [piece.partition("&")[0] for piece in line.split(":")[1:]]
        nonce = line.partition("##")[2].partition(":")[0]
        asked = [name for name in names if name in self.sections]
        body = b"".join(f"##{nonce}:{name}\r\n".encode() + self.sections[name] + b"\r\n" for name in asked)
        return Output(0, body + f"##{nonce}:\r\n".encode(), b"")

    def writers(self, timeout: float) -> Output:
        return Output(0, LISTED.encode(), b"")

    def put_file(self, source: str, target: str) -> None:
        raise AssertionError("preflight delivers nothing")


def summary(directories: int, files: int, size: int) -> bytes:
    rows = (("Rép", directories), ("Fichiers", files), ("Octets", size))
    return "".join(f"{name:>8} : {n:>9} {n:>9}  0  0  0  0\r\n" for name, n in rows).encode("cp850")


def good_host() -> Host:
    return Host(
        {
            "groups": b'"a","b","S-1-5-32-544",""\r\n"c","d","S-1-16-12288",""\r\n',
            "windows": b"    CurrentBuildNumber  REG_SZ  17763\r\n    InstallationType  REG_SZ  Server\r\n",
            "tar": b"bsdtar 3.3.2 - libarchive\r\n",
            "disk": b"  2 R\x82p(s)  50000000000 octets libres\r\n",
            "deployed": b"1\r\n",
            "status": b'{"exit_code": 0}\r\n',
            "ca": b"",
            "mapped": b"",
            "defender": b"",
            "quotas": b"Winrs\r\n    MaxMemoryPerShellMB = 2147483647\r\n",
            "excluded": b"",
            "repository": b"HTTP/1.1 401 Unauthorized\r\n\r\n",
            **{f"apart{number}": b"" for number in range(40)},
            "entry0": summary(3, 40, 20 * GB),
            "entry1": summary(1, 12, 2 * GB),
            "entry2": summary(30, 900, 8 * GB),
        }
    )


def inspect(host: Host, **contract: Any) -> preflight.Report:
    whole = HostContract.from_plain({**CONTRACT, **contract})
    look = preflight.wanted(whole, REPOSITORY, r"C:\Program Files\ProSecours")
    return preflight.inspect(host, whole, look)


def test_nothing_wrong_is_one_small_command_without_input() -> None:
    host = good_host()
    assert inspect(host).verdict == "ready"
    (line,) = host.lines
    assert len(line) < 2500
    assert REPOSITORY["password"] not in line
    assert host.stdin == [b""]


def test_before_the_deploy_the_password_is_tried_on_standard_input() -> None:
    host = good_host()
    host.sections["deployed"] = b""
    report = inspect(host)
    assert [finding.id for finding in report.findings] == ["vss_writers"]
    assert host.lines[1].endswith("-K -")
    assert REPOSITORY["password"] not in "".join(host.lines)
    assert 'user = "moulin:p\\"\\\\w"' in host.stdin[1].decode()
    assert re.search(r"ok +Repository +ready$", report.table(), re.MULTILINE)


def test_over_the_volume_asks_for_the_largest_directories_only_then() -> None:
    host = good_host()
    host.sections |= {"names0": "Été 2019\r\n50% fait\r\n2020\r\n".encode(), "names1": b""}
    report = inspect(host, subscribed_gb=25)
    assert len(host.lines) == 3
    assert report.case is not None
    assert report.case.facts.largest[0] == (r"D:\isagiwf\backup\Été 2019", 20 * GB)
    assert "50%" not in host.lines[2]


def test_the_rate_is_measured_only_before_the_deploy() -> None:
    host = good_host()
    host.sections["status"] = b""
    assert inspect(host, uplink_mbit=None).verdict == "ready"
    assert len(host.lines) == 1
    host = good_host()
    host.sections |= {"status": b"", "deployed": b""}
    report = inspect(host, uplink_mbit=None)
    assert [line.split()[0] for line in host.lines[1:]] == ["curl.exe", "vssadmin", "type"]
    assert report.case is not None
    assert report.case.facts.rate is not None


def test_writers_that_failed_are_named_once_before_the_deploy() -> None:
    host = good_host()
    assert inspect(host).findings == ()
    assert preflight_facts.WRITERS not in host.lines
    host.sections["deployed"] = b""
    (finding,) = inspect(host).findings
    assert finding.sentence == "VSS writers of this server failed last time: System Writer [9], freeze"
    forty = replace(GOOD, writers=tuple(Writer(f"W{number}", 9) for number in range(40)))
    (finding,) = preflight.judge(case(forty), NOW).findings
    assert finding.sentence.endswith("W3 [9], freeze; W4 [9], freeze; and 35 more")


def test_writers_that_do_not_answer_are_not_known_and_hold_nothing_up() -> None:
    class Hanging(Host):
        def writers(self, timeout: float) -> Output:
            assert timeout <= 60
            raise TimedOut(self.host, "it took too long", "wait", Output(-1, LISTED.encode(), b""))

    host = Hanging({**good_host().sections, "deployed": b"", "status": b""})
    report = inspect(host, uplink_mbit=None)
    assert report.findings == ()
    assert re.search(r"ok +VSS writers +not known$", report.table(), re.MULTILINE)
    assert host.lines[-1].startswith("type "), "what comes after it is still asked"


def test_a_sample_cut_off_is_a_measure_too() -> None:
    class Slow(Host):
        def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
            raise TimedOut(self.host, "it took too long", "wait", Output(-1, bytes(600_000), b""))

    times = iter((0.0, 60.0))
    found = preflight_facts.add_rate(Slow({}), GOOD, lambda: next(times))
    assert found.rate == Rate(600_000 * 4 / 3 / 60, 600_000)


def test_a_perimeter_too_long_for_one_line_takes_more() -> None:
    long = [Entry("office", f"D:\\{'Répertoire ' * 20}{number}", "directory") for number in range(40)]
    host = good_host()
    host.sections |= {f"entry{number}": summary(1, 1, 1) for number in range(40)}
    report = inspect(host, perimeter=[entry.__dict__ for entry in long])
    assert report.verdict == "ready"
    assert len(host.lines) > 1
    assert max(map(len, host.lines)) <= 8191


@pytest.mark.parametrize(
    ("version", "address", "checked", "found"),
    [
        ("7.55.1", "depot.example:8000", "curl: (60) SEC_E_UNTRUSTED_ROOT", ["repository_unproved"]),
        ("8.10.1", "192.0.2.7:8000", "curl: (60) CertGetNameString() failed", ["repository_unproved"]),
        ("8.11.0", "192.0.2.7:8000", "curl: (60) it is another one", ["repository_way"]),
        ("7.60.0", "depot.example:8000", "curl: (60) it is another one", ["repository_way"]),
        ("7.60.0", "depot.example:8000", "HTTP/1.1 401 Unauthorized", []),
    ],
)
def test_what_curl_cannot_prove_stops_no_second_deploy(
    version: str, address: str, checked: str, found: list[str]
) -> None:
    host = good_host()
    host.sections |= {
        "ca": b"PEM\r\n",
        "curl": f"curl {version} (Windows) libcurl/{version} Schannel WinIDN\r\n".encode(),
        "repository": f"{checked}\r\n".encode(),
        "unchecked": b"HTTP/1.1 401 Unauthorized\r\n",
    }
    contract = HostContract.from_plain(CONTRACT)
    repository = {**REPOSITORY, "url": f"rest:https://{address}/moulin/", "ca": "PEM"}
    look = preflight.wanted(contract, repository, r"C:\Program Files\ProSecours")
    report = preflight.inspect(host, contract, look)
    assert [finding.id for finding in report.findings] == found


def test_without_its_authority_on_the_host_the_repository_gets_no_password() -> None:
    host = good_host()
    host.sections["deployed"] = b""
    look = preflight.wanted(
        HostContract.from_plain(CONTRACT), {**REPOSITORY, "ca": "PEM"}, r"C:\Program Files\ProSecours"
    )
    report = preflight.inspect(host, HostContract.from_plain(CONTRACT), look)
    checked, _, anonymous = host.lines[0].partition(") else (")
    assert (
        '--cacert "C:\\Program Files\\ProSecours\\ca.pem" https://depot.example:8000/moulin/config' in checked
    )
    assert "--insecure https://depot.example:8000/moulin/config)" in anonymous
    assert host.lines[1:] == [preflight_facts.WRITERS]
    assert [finding.id for finding in report.findings] == ["vss_writers", "repository_unproved"]


# -- report ---------------------------------------------------------------------------------------------


REPORTS = [
    preflight.judge(case(), NOW),
    *(preflight.judge(case(replace(GOOD, **facts), contract), NOW) for facts, contract, _ in FAULTS),
    preflight.unreached(
        HostContract.from_plain(CONTRACT), Unreachable("moulin-srv1", "no answer", "Check the name"), NOW
    ),
]


@pytest.mark.parametrize(
    "report", REPORTS, ids=lambda report: "-".join(f.id for f in report.findings) or "good"
)
def test_reports_follow_their_schema_and_hold_no_secret(report: preflight.Report) -> None:
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(report.data())
    assert REPOSITORY["password"] not in json.dumps(report.data()) + report.table() + repr(report)


def test_a_host_that_cannot_be_asked_has_the_same_kind_of_report(tmp_path: Path) -> None:
    report = preflight.unreached(
        HostContract.from_plain(CONTRACT), Unreachable("moulin-srv1", "no answer", "Check the name"), NOW
    )
    assert report.refusal == "No answer. The table above says what to do."
    assert "STOP (C2): No answer. Check the name." in report.table()
    path = preflight.write(report, str(tmp_path))
    assert path == tmp_path / "preflight" / "moulin-srv1.json"
    assert json.loads(path.read_text())["verdict"] == "blocked"


def test_a_report_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "preflight").write_text("a file, not a directory")
    with pytest.raises(CannotWrite, match="prosecours_report_dir"):
        preflight.write(REPORTS[0], str(tmp_path))


def test_the_table_reads_like_one() -> None:
    assert preflight.judge(case(), NOW).table().splitlines() == [
        "moulin-srv1  GAEC du Moulin  PS-2026-0042  READY",
        "  ok    WinRM                              reached",
        "  ok    Rights                             administrator",
        "  ok    Windows                            Server 2022, build 20348",
        "  ok    Delivery                           tar.exe 3.5.2",
        "  ok    VSS writers                        not known",
        "  ok    Clock                              right to 1 s",
        "  ok    Disk C:                            50 GB free",
        "  ok    isagiwf_backup  D:\\isagiwf\\backup  20 GB, 40 files",
        "  ok    isagiwf_giw  D:\\isagiwf\\B????.GIW  2 GB, 12 files match",
        "  ok    office  D:\\Bureautique d'été & co  8 GB, 900 files",
        "  ok    Volume                             30 GB of 200 GB (15 %)",
        "  ok    Repository                         ready",
        "  ok    First backup                       about 7 h at 9 Mbit/s (90 % of the operator's rate)",
    ]
