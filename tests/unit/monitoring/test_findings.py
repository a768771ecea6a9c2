"""Facts of both sides in, findings out: one table that provokes every kind there is."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.agreed import Difference
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import Paper, Signed
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.signed import Standing
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.findings import (
    ClientFacts,
    Finding,
    Limits,
    judge,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.kinds import KINDS
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.memory import Memory
from ansible_collections.prosecours.backup.plugins.plugin_utils.monitoring.paper import PaperFacts, look

from .fleet import HOST, NOW, TASK, client, drift, server, status

CHECKOUT = Path(__file__).resolve().parents[3]
LONG_AGO = NOW - timedelta(days=60)
YESTERDAY = datetime.fromisoformat("2026-11-23T09:00:00+01:00")
KNOWN = Memory(
    {"gaec_du_moulin": LONG_AGO, HOST: LONG_AGO},
    {HOST: {name: (digest, YESTERDAY) for name, digest in server()["watched"].items()}},
    {},
    {},
)
"""A fleet that has been watched for long, and was in order yesterday."""
IN_ORDER = Standing()
WAS_OTHER = {"watched": {"restic.exe": "xx", "perimeter.txt": "xx", TASK: "xx"}}
UNREACHED = {"reachable": False, "failure": "no answer at 192.0.2.1:5986", "remedy": "See that it runs"}
THE_NIGHT_BEFORE = "2026-11-22T21:00:05Z"
OLD = "2026-11-20T05:00:00Z"


def dump(newest: str | None) -> dict[str, Any]:
    return {"path": "D:\\isagiwf\\backup", "days": 4, "newest": newest, "at": "2026-11-23T21:00:05+00:00"}


def papers(standing: Standing = IN_ORDER, **of: Any) -> ClientFacts:
    """A client that is well, but for its contract's paper; the letter is due again in a year."""
    one = client()
    signed = Signed("0" * 32, date(2026, 1, 15), "Mme Élodie Lefèvre")
    contract = replace(one.contract, paper=Paper(signed=signed))
    return replace(
        one, contract=contract, paper=PaperFacts(standing, **{"next_letter": date(2027, 11, 1), **of})
    )


def found(of: ClientFacts, past: Memory = KNOWN, now: datetime = NOW) -> list[Finding]:
    return judge(of, past, Limits(), now)


CASES: dict[str, tuple[ClientFacts, str, str]] = {
    # what is the matter: the client, the kind that has to be found, its severity
    "switched off": (client(server(**UNREACHED, error="Unreachable")), "unreachable", "warning"),
    "another certificate": (
        client(server(**UNREACHED, error="CertificateRefused")), "certificate_refused", "warning",
    ),
    "password of Windows changed": (
        client(server(**UNREACHED, error="LoginRefused")), "login_refused", "critical",
    ),
    "hangs": (client(server(**UNREACHED, error="TimedOut")), "no_answer", "warning"),
    "folder removed": (client(server(**drift("folder", "C:\\x", "gone"))), "agent_removed", "critical"),
    "task deleted": (
        client(server(**drift("task", TASK, "gone"), **WAS_OTHER)), "task_deleted", "critical",
    ),
    "task disabled": (
        client(server(**drift("task", TASK, "disabled"), **WAS_OTHER)), "task_disabled", "critical",
    ),
    "task edited": (client(server(**drift("task", TASK), **WAS_OTHER)), "task_edited", "warning"),
    "binary": (client(server(**drift("binary", "restic.exe"), **WAS_OTHER)), "binary_changed", "critical"),
    "configuration": (
        client(server(**drift("text", "perimeter.txt"), **WAS_OTHER)), "configuration_changed", "critical",
    ),
    "id of the repository": (
        client(server(**drift("repository", "repository.id", "gone"))), "configuration_changed", "critical",
    ),
    "password file": (
        client(server(**drift("secret", "password.txt"), watched={"password.txt": "9"})),
        "credentials_changed", "critical",
    ),
    "rights": (client(server(**drift("rights", "C:\\x"))), "rights_opened", "critical"),
    "inventory changed": (client(server(**drift("text", "perimeter.txt"))), "deploy_due", "notice"),
    "deploy cut": (
        client(server(**drift("staging", "C:\\x\\staging"))), "deploy_interrupted", "notice",
    ),
    "VSS disabled": (client(server(shadow_copies=False)), "shadow_copies_off", "warning"),
    "clock behind": (client(server(clock_offset_seconds=-301.0)), "clock_moved", "warning"),
    "clock far ahead": (client(server(clock_offset_seconds=901.0)), "clock_moved", "critical"),
    "disk": (client(server(free_bytes=999_999_999)), "disk_low", "warning"),
    "exit 3": (client(server(status__exit_code=3)), "incomplete", "warning"),
    "exit 3, seen from the repository alone": (
        client(None, status(server__last=THE_NIGHT_BEFORE)), "incomplete", "warning",
    ),
    "exit 3 for days": (
        client(None, status(server__last=OLD)), "incomplete", "critical",
    ),
    "directory gone": (
        client(server(status__missing=["D:\\isapawp"])), "missing_directory", "warning",
    ),
    "no shadow copy": (client(server(status__degraded=True)), "degraded", "warning"),
    "exit 10": (client(server(status__exit_code=10)), "repository_gone", "critical"),
    "exit 11": (client(server(status__exit_code=11)), "locked", "warning"),
    "exit 12": (client(server(status__exit_code=12)), "password_refused", "critical"),
    "exit 1, 401": (
        client(server(status__exit_code=1, log=["Fatal: unexpected HTTP response (401): 401 Unauthorized"])),
        "login_to_repository_refused", "critical",
    ),
    "exit 1, 507": (
        client(server(status__exit_code=1, log=["unexpected HTTP response (507)"])),
        "repository_full", "critical",
    ),
    "exit 1, no link": (
        client(server(status__exit_code=1, log=["dial tcp: lookup backup.example: no such host"])),
        "no_way_to_repository", "warning",
    ),
    "exit 1, whatever": (client(server(status__exit_code=1)), "backup_failed", "critical"),
    "an exit code of tomorrow": (client(server(status__exit_code=99)), "backup_failed", "critical"),
    "a status without a time": (
        client(server(status__exit_code=1, status__end="0000-00-00T00:00:00Z")), "backup_failed", "critical",
    ),
    "one night missed": (client(None, status(server__last_any="2026-11-22T21:00:05Z")), "silent", "warning"),
    "two nights missed": (
        client(None, status(server__last_any="2026-11-21T21:00:05Z")), "silent", "critical",
    ),
    "one night missed, no repository host": (
        client(server(status__start="2026-11-22T21:00:05Z"), None), "silent", "warning",
    ),
    "never, since long": (client(None, status(server__last_any=None)), "silent", "critical"),
    "repository host down": (client(failure="depot: no route"), "repository_unread", "critical"),
    "dumps stopped": (
        client(repository=status(dumps={HOST: [dump("2026-11-19T20:00:00+00:00")]})),
        "stale_dumps", "warning",
    ),
    "no dump at all": (
        client(repository=status(dumps={HOST: [dump(None)]})), "stale_dumps", "warning",
    ),
    "rubbish": (
        client(repository=status(rubbish=["srv: index/0a1b2c3d (arrived 2026-11-23 21:30 UTC) is no index"])),
        "rubbish", "warning",
    ),
    "a key of his own": (
        client(repository=status(rubbish=["srv: keys/0a1b2c3d (arrived x) is a key that nobody knows"])),
        "rubbish", "critical",
    ),
    "a thousand versions": (
        client(repository=status(unmeasured=["3fa2bc10" * 8])), "unmeasured", "warning",
    ),
    "a server that left": (
        client(repository=status(retired={"old": {"last": OLD, "goes_on": "2026-12-12", "held": []}})),
        "retired", "notice",
    ),
    "a server that left, unjudged": (
        client(repository=status(retired={"old": {"last": OLD, "goes_on": None, "held": ["3fa2bc10"]}})),
        "retired", "notice",
    ),
    "a server that left and still sends": (
        replace(
            client(
                repository=status(
                    retired={"old": {"last": YESTERDAY.isoformat(), "goes_on": None, "held": []}}
                )
            ),
            contract=replace(client().contract, retired={"old": date(2026, 11, 22)}),
        ),
        "retired_sends", "warning",
    ),
    "promise": (
        client(repository=status(promise={"kept": False, "problems": ["no version of 2026-11-20"]})),
        "promise_broken", "critical",
    ),
    "80 %": (client(repository=status(volume__percent=80.0)), "volume", "notice"),
    "95 %": (client(repository=status(volume__percent=95.0)), "volume", "warning"),
    "100 %": (client(repository=status(volume__percent=100.0)), "volume", "critical"),
    "closed": (
        client(repository=status(volume__percent=104.0, volume__closed=True)), "volume_closed", "critical",
    ),
    "soon full": (client(repository=status(volume__full_on="2026-12-20")), "volume_forecast", "notice"),
    "forged": (client(repository=status(set_aside=["cd" * 32])), "forged_time", "warning"),
    "loss": (client(repository=status(losses={"ef" * 32: ["half of the size"]})), "sudden_loss", "warning"),
    "old lock": (
        client(repository=status(locks=[{"host": HOST, "since": OLD, "stale": True}])),
        "stale_lock", "notice",
    ),
    "retention failed": (
        client(repository=status(retention__failure="the disk is full")), "retention_failed", "critical",
    ),
    "retention forgotten": (client(repository=status(retention__at=OLD)), "retention_late", "warning"),
    "damage": (
        client(repository=status(check__ok=False, check__problems=["pack 12ab"])), "check_failed", "critical",
    ),
    "check forgotten": (client(repository=status(check__at=OLD)), "check_late", "warning"),
    "never checked": (client(repository=status(check=None)), "check_late", "warning"),
    "drill": (
        client(repository=status(drill__ok=False, drill__problems=["a.txt"])), "drill_failed", "critical",
    ),
    "drill drew what is encrypted": (
        client(repository=status(drill__doubts=["a.pdf does not look like a PDF"])),
        "drill_doubts", "warning",
    ),
    "drill forgotten": (client(repository=status(drill__at="2026-10-19T06:00:00Z")), "drill_late", "warning"),
    "not what was signed": (
        papers(Standing("x", "y", differences=(Difference("Volume souscrit", "200 Go", "50 Go"),))),
        "not_as_signed", "warning",
    ),
    "what was signed is lost": (papers(Standing("there is no x.json", "y")), "signed_unknown", "warning"),
    "the letter of the year": (papers(next_letter=date(2026, 11, 23)), "letter_overdue", "notice"),
    "never a letter": (papers(next_letter=None), "letter_never", "notice"),
    "a damaged record of letters": (papers(letter_problem="x is damaged"), "letters_unknown", "warning"),
}  # fmt: skip


def test_a_client_that_is_well_has_no_findings() -> None:
    assert found(client()) == []


@pytest.mark.parametrize(("of", "kind", "severity"), CASES.values(), ids=CASES.keys())
def test_what_is_wrong_is_found_and_nothing_else(of: ClientFacts, kind: str, severity: str) -> None:
    [finding] = found(of)
    assert (finding.kind, finding.severity) == (kind, severity)
    assert finding.id.startswith(f"gaec_du_moulin/{finding.host or '-'}/{kind}/")
    for text in (finding.sentence, finding.remedy, finding.sentence_fr, finding.remedy_fr):
        assert text.endswith(".")
        assert not re.search(r"[{}]|None|datetime|\(\)|  ", text), text


@pytest.mark.parametrize("flood", ["set_aside", "losses", "rubbish"])
def test_a_flood_is_counted_and_hides_no_key(flood: str) -> None:
    """Ten thousand sentences about one client would be a mail that no server takes, for all clients."""
    names = [f"{number:08x}" for number in range(10_000)]
    key = "srv: keys/0a1b2c3d (arrived x) is a key that nobody knows"
    sent: dict[str, Any] = {
        "rubbish": [key],
        "set_aside": names,
        "losses": {name: ["half of the size"] for name in names},
    }
    if flood == "rubbish":
        sent["rubbish"] = [*(f"srv: index/{name} (arrived x) is no index" for name in names), key]
    told = found(client(repository=status(**{name: sent[name] for name in {flood, "rubbish"}})))
    [rest] = [one for one in told if one.kind == "unnamed"]
    assert rest.sentence.startswith("9801 more" if flood == "rubbish" else "9800 more")
    assert len(told) == (201 if flood == "rubbish" else 202)
    assert [one.severity for one in told if "keys/0a1b2c3d" in one.sentence] == ["critical"]


def test_every_kind_is_provoked_by_a_test() -> None:
    elsewhere = {"no_backup_yet", "not_deployed", "unnamed"}
    assert {kind for _, kind, _ in CASES.values()} | elsewhere == set(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_both_languages_say_the_same_of_a_kind(kind: Any) -> None:
    """What an English sentence names, the French one names too, but for what only technicians read."""

    def fields(text: str) -> set[str]:
        return {str(name) for _, name, _, _ in string.Formatter().parse(text) if name}

    technical = {"problem", "remedy", "what"}
    assert fields(kind.sentence) - technical == fields(kind.sentence_fr) - technical
    assert fields(kind.remedy) - technical == fields(kind.remedy_fr) - technical
    assert re.fullmatch(r"C\d+", kind.clause)


def test_a_breach_is_dated_and_told_from_drift() -> None:
    edited = client(server(**drift("text", "perimeter.txt"), **WAS_OTHER))
    [known], [unknown] = found(edited), found(edited, Memory.empty())
    assert "in order until 2026-11-23 09:00" in known.sentence
    assert "jusqu’au 23/11/2026 09" in known.sentence_fr
    assert "VI.1" in known.sentence
    assert "Nothing is known" in unknown.sentence


def test_a_file_that_the_contract_adds_is_a_deploy_that_is_due() -> None:
    watched = {"patterns.txt": ""}
    past = Memory({}, {HOST: {"patterns.txt": ("", YESTERDAY)}}, {}, {})
    wanted = client(server(**drift("text", "patterns.txt", "gone"), watched=watched))
    assert [finding.kind for finding in found(wanted, past)] == ["deploy_due"]


def test_both_sides_tell_of_one_incomplete_backup_once() -> None:
    both = client(server(status__exit_code=3), status(server__last=THE_NIGHT_BEFORE))
    assert [finding.id for finding in found(both)] == [f"gaec_du_moulin/{HOST}/incomplete/-"]


def test_each_missing_directory_is_a_finding_of_its_own() -> None:
    paths = ["D:\\a", "E:\\Données partagées"]
    assert [finding.detail for finding in found(client(server(status__missing=paths)))] == paths


def test_a_server_without_agent_was_robbed_of_it_or_never_had_one() -> None:
    bare = {"drift": [drift("folder", "C:\\x", "gone")["drift"][0], drift("task", TASK, "gone")["drift"][0]]}
    never = status(server__last_any=None, server__last=None, server__history=[])
    facts = server(**bare, last_status=None, watched={"folder": "", TASK: ""})
    [new, waiting] = found(client(facts, never), Memory.empty())
    assert (new.kind, new.severity, waiting.kind) == ("not_deployed", "warning", "no_backup_yet")
    for past, repository in ((KNOWN, never), (Memory.empty(), status())):
        kinds = {finding.kind for finding in found(client(facts, repository), past)}
        assert {"agent_removed", "task_deleted"} <= kinds


def test_a_new_server_is_waited_for() -> None:
    fresh = client(server(last_status=None), status(server__last_any=None, server__history=[]))
    [finding] = found(fresh, Memory.empty())
    assert (finding.kind, finding.severity) == ("no_backup_yet", "notice")
    assert "2026-11-24 22:00" in finding.sentence


def test_a_backup_that_runs_is_not_silence_until_windows_ends_it() -> None:
    running = client(server(running=True), status(server__last_any="2026-11-22T21:00:05Z"))
    assert found(running) == []
    later = found(running, now=NOW + timedelta(days=3))
    assert "silent" in [finding.kind for finding in later]


def test_a_refused_backup_is_explained_by_the_volume_and_not_told_twice() -> None:
    over = status(volume__percent=104.0, volume__closed=True)
    refused = client(server(status__exit_code=1, log=["unexpected HTTP response (500)"]), over)
    assert [finding.kind for finding in found(refused)] == ["volume_closed"]


def test_the_repository_is_believed_before_the_server() -> None:
    """A status file that tells of backups which never arrived."""
    boasting = client(repository=status(server__last_any="2026-11-20T21:00:05Z"))
    assert [finding.kind for finding in found(boasting)] == ["silent"]


def test_nothing_is_late_where_nothing_was_sent() -> None:
    empty = status(retention={"at": None, "failure": None}, check=None, drill=None, servers={})
    assert [finding.kind for finding in found(client(None, empty), Memory.empty())] == ["no_backup_yet"]


def test_sizes_and_times_read_in_both_languages() -> None:
    [finding] = found(client(repository=status(volume__percent=95.4, volume__newest_bytes=47_700_000_000)))
    assert "95 %" in finding.sentence
    assert "47.7 GB of 50.0 GB" in finding.sentence
    shown = finding.sentence_fr.replace("\N{NO-BREAK SPACE}", " ")
    assert "47,7 Go (44,4 Gio) sur 50,0 Go (46,6 Gio)" in shown


# -- the contract's paper -------------------------------------------------------------------------------


def test_paper_that_is_in_order_is_not_told() -> None:
    assert found(papers()) == []
    assert [one.kind for one in found(papers(next_letter=NOW.date()))] == []


def test_a_new_client_has_a_month_for_its_first_letter() -> None:
    names = {**KNOWN.names, "gaec_du_moulin": NOW - timedelta(days=30)}
    assert found(papers(next_letter=None), replace(KNOWN, names=names)) == []


def test_what_differs_from_the_signed_copy_reads_in_both_languages() -> None:
    (one,) = found(CASES["not what was signed"][0])
    assert one.sentence == (
        "The annexes of GAEC du Moulin are no longer what Mme Élodie Lefèvre signed on 2026-01-15: Volume"
        " souscrit: 200 Go → 50 Go."
    )
    assert "a signées le 15/01/2026 (détail" in one.sentence_fr


def test_paper_is_looked_at_where_it_is_kept(tmp_path: Path) -> None:
    of = client()
    paper = look(of.contract, of.hosts, tmp_path)
    assert (paper.next_letter, paper.letter_problem, paper.standing.problem) == (None, "", "")
    (tmp_path / of.id).mkdir()
    (tmp_path / of.id / "consignes.json").write_text("{")
    assert "it is damaged" in look(of.contract, of.hosts, tmp_path).letter_problem


def test_whom_a_kind_concerns_is_as_the_page_says() -> None:
    page = (CHECKOUT / "docs" / "monitoring.md").read_text("utf-8")
    (said,) = re.findall(r"\*\*Whom it concerns\.\*\* (.*?)The one for systems", page, re.DOTALL)
    concerns = {name: "applications" if f"`{name}`" in said else "systems" for name in KINDS}
    assert {name: kind.concern for name, kind in KINDS.items()} == concerns
    assert len(re.findall("`", said)) == 2 * list(concerns.values()).count("applications")
