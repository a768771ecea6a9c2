"""What is sent to a host, in which order, and what its answers become."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import apply as agent_apply
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import deploy as agent
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent import desired as agent_desired
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.desired import UnusableError
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.facts import Facts, observe
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.plan import plan
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.refusals import AgentError
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.probe import Garbled
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import (
    ConnectionLost,
    Output,
    TimedOut,
)

from .hosts import IDENTITY, RESTIC, Host, answers_of, in_order, request, sections

ARRIVED = "SHA256\r\n{}\r\n"
HELD = ("call swap.cmd", Output(0, b"", b"held\r\n"))
CONFIG = Output(0, f'{{"version": 2, "id": "{IDENTITY}"}}'.encode(), b"")
OPENS = ("cat config", CONFIG)


def failed(code: int, words: str = "") -> Output:
    return Output(code, b"", words.encode())


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture(autouse=True)
def _one_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    """The staging folder's name, told beforehand."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "0a1b2c3d")


class Deployment:
    """A host, what it is to be, and what it says about staged files."""

    def __init__(self, folder: Path, facts: Facts | None, *rules: Any, **settings: Any) -> None:
        self.request = request(folder / "restic.exe", **settings)
        self.wanted = agent_desired.desired(self.request, shadow_copies=False)
        self.facts = in_order(self.wanted) if facts is None else facts
        good = in_order(self.wanted).hashes
        staged = {name: ARRIVED.format(value) for name, value in good.items()}
        staged["version"] = '{"message_type":"version","version":"0.19.1"}\n'
        shows = sections(staged)
        self.host = Host(*rules, (r"certutil.*staging", shows), ("version --json", shows), HELD, OPENS)

    def apply(self) -> None:
        agent_apply.apply(self.host, self.request, self.wanted, self.facts, plan(self.wanted, self.facts))

    def order(self, *patterns: str) -> list[int]:
        """Where the first line with each pattern stands among the lines sent."""
        return [self.host.lines.index(self.host.commands(pattern)[0]) for pattern in patterns]


def test_everything_is_verified_and_opened_before_anything_is_replaced(tmp_path: Path) -> None:
    bare = Deployment(tmp_path, Facts(tar=True))
    bare.apply()
    steps = bare.order(
        "inheritance:r",
        "tar -xzf -",
        "certutil",
        "cat config",
        "swap.cmd",
        "schtasks /create",
        "&?if exist .*rmdir /s /q [^&]*$",
    )
    assert steps == sorted(steps)
    assert (
        'cd /d "C:\\Program Files\\ProSecours\\staging-0a1b2c3d"&&>..\\backup.lock call swap.cmd'
        in bare.host.lines
    )
    assert bare.host.commands("schtasks /run") == []


def test_the_archive_holds_what_changes_and_no_line_holds_a_secret(tmp_path: Path) -> None:
    bare = Deployment(tmp_path, Facts(tar=True))
    bare.apply()
    with tarfile.open(fileobj=io.BytesIO(bare.host.inputs[0]), mode="r:gz") as archive:
        names = set(archive.getnames())
        stream = archive.extractfile("restic.exe")
        assert stream is not None
        assert stream.read() == RESTIC
        task = archive.extractfile("task.xml")
        assert task is not None
        assert task.read().startswith(b"\xff\xfe<\0?\0x\0")
    assert names == {*bare.wanted.texts, *bare.wanted.secrets, "restic.exe", "task.xml", "swap.cmd"}
    for secret in ("http-password", "encryption password"):
        assert all(secret not in line for line in bare.host.lines)


def test_a_small_repair_touches_only_what_it_must(tmp_path: Path) -> None:
    edited = Deployment(tmp_path, None)
    edited.facts = replace(edited.facts, texts={**edited.facts.texts, "perimeter.txt": "x"})
    edited.apply()
    with tarfile.open(fileobj=io.BytesIO(edited.host.inputs[0]), mode="r:gz") as archive:
        assert archive.getnames() == ["perimeter.txt", "swap.cmd"]
        script = archive.extractfile("swap.cmd")
        assert script is not None
        assert (
            b"move /y perimeter.txt ..\\perimeter.txt >nul\r\nif exist perimeter.txt exit /b 3\r\n"
            in script.read()
        )
    assert edited.host.commands("restic.cmd|schtasks|icacls") == []


def test_a_disabled_task_is_registered_and_nothing_swapped(tmp_path: Path) -> None:
    disabled = Deployment(tmp_path, None)
    disabled.facts = replace(disabled.facts, task_xml="")
    disabled.apply()
    assert disabled.host.commands("swap.cmd") == []
    assert disabled.host.commands("schtasks /create") == [
        "schtasks /create /tn \\ProSecours\\Sauvegarde"
        ' /xml "C:\\Program Files\\ProSecours\\staging-0a1b2c3d\\task.xml" /f'
    ]


def test_opened_rights_are_closed_and_nothing_delivered(tmp_path: Path) -> None:
    opened = Deployment(tmp_path, None)
    opened.facts = replace(opened.facts, folder_rights="D:AI(A;;FA;;;WD)")
    opened.apply()
    assert opened.host.inputs == []
    assert [line.split(" ")[-1] for line in opened.host.lines] == ["/q", "/q"]
    # Never by way of what the parent folder lets everyone read.
    assert "/remove *S-1-1-0" in opened.host.lines[0]
    assert "/reset" not in opened.host.lines[0]


def test_a_password_change_tries_the_installed_restic_with_the_new_password(tmp_path: Path) -> None:
    changed = Deployment(tmp_path, None)
    changed.facts = replace(changed.facts, hashes={**changed.facts.hashes, "password.txt": "00"})
    changed.apply()
    steps = changed.order("tar -xzf -", "copy /y ..\\\\restic.exe", "cat config", "swap.cmd")
    assert steps == sorted(steps)


def test_a_new_repository_is_initialised(tmp_path: Path) -> None:
    answers = iter([failed(10), CONFIG])
    new = Deployment(tmp_path, Facts(tar=True), ("cat config", lambda _: next(answers)))
    new.apply()
    assert len(new.host.commands("init --json")) == 1
    assert new.host.commands(f"echo {IDENTITY}")


@pytest.mark.parametrize(
    ("output", "says", "remedy"),
    [
        (failed(12, "wrong password"), "refuses the encryption password", "prosecours_encryption_password"),
        (failed(11), "locked", "Wait"),
        (
            failed(1, "x509: certificate signed by unknown authority"),
            "certificate",
            "prosecours_repository_ca",
        ),
        (
            failed(1, "unexpected HTTP response (401): 401"),
            "user name or password",
            "playbooks/repository.yml",
        ),
        (failed(1, "unexpected HTTP response (403): 403"), "another user", "prosecours_repository_url"),
        (failed(1, "unexpected HTTP response (507): 507 Insufficient Storage"), "is full", "Raise"),
        (failed(1, "dial tcp: lookup x: no such host"), "cannot be reached", "firewall"),
        (failed(1, "Fatal: something else"), "code 1: Fatal: something else", "restic.cmd"),
        (Output(0, b'{"id": "' + b"cd" * 32 + b'"}', b""), "another repository (cdcdcdcd)", "repository.id"),
        (Output(0, b"{}", b""), "gives no id", "restic.cmd"),
    ],
)
def test_a_refused_repository_overwrites_nothing(
    tmp_path: Path, output: Output, says: str, remedy: str
) -> None:
    refused = Deployment(tmp_path, None, ("cat config|init --json", output))
    refused.facts = replace(refused.facts, hashes={**refused.facts.hashes, "password.txt": "00"})
    with pytest.raises(AgentError, match=r"^moulin-srv1: ") as caught:
        refused.apply()
    assert says in caught.value.problem
    assert "nothing in place was replaced" in caught.value.problem or "no id" in says
    assert remedy in caught.value.remedy
    assert refused.host.commands("swap.cmd|schtasks") == []
    assert refused.host.commands('^if exist "[^"]*staging')  # nothing is left behind


def test_a_repository_out_of_reach_is_given_up_after_a_minute(tmp_path: Path) -> None:
    partial = Output(-1, b"", b"Stat(<config/>) returned error, retrying after 530ms: dial tcp: i/o timeout")
    lost = Deployment(tmp_path, Facts(tar=True), ("cat config", TimedOut("moulin-srv1", "", "", partial)))
    with pytest.raises(AgentError, match="cannot be reached"):
        lost.apply()


def test_a_restic_that_says_nothing_is_ended_after_a_minute(tmp_path: Path) -> None:
    silent = TimedOut("moulin-srv1", "", "", Output(-1, b"", b""))
    with pytest.raises(AgentError) as refused:
        Deployment(tmp_path, Facts(tar=True), ("cat config", silent)).apply()
    assert "did not open the repository rest:https://" in refused.value.problem
    assert refused.value.problem.endswith("in its time (it said nothing); nothing in place was replaced")
    assert "antivirus" in refused.value.remedy


def test_two_servers_that_initialise_at_once_both_open_it(tmp_path: Path) -> None:
    answers = iter([failed(10), CONFIG])
    late = Deployment(tmp_path, Facts(tar=True), ("cat config", lambda _: next(answers)), ("init", failed(1)))
    late.apply()
    assert late.host.commands("swap.cmd")


def test_how_far_a_delivery_is_and_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of a tenth every six seconds: each second one is told, the last is not."""
    now = iter(range(0, 1000, 6))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    said: list[str] = []
    sent = list(agent_apply.followed([b"x" * 1_000_000] * 10, 10_000_000, said.append))
    assert (len(sent), len(said)) == (10, 4)
    assert said[0] == "2.0 MB of 10.0 MB delivered, under a minute left"
    slow: list[str] = []
    now = iter(range(0, 10_000, 60))
    list(agent_apply.followed([b"x" * 1_000_000] * 10, 10_000_000, slow.append))
    assert slow[0] == "1.0 MB of 10.0 MB delivered, about 9 min left"


@pytest.mark.parametrize(
    ("tar", "large", "told"), [(False, 10, True), (False, 10**9, False), (True, 10, False)]
)
def test_a_large_delivery_by_put_file_is_told_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tar: bool, large: int, told: bool
) -> None:
    """Ansible's way tells nothing meanwhile; of small files nobody needs to know."""
    monkeypatch.setattr(agent_apply, "_LARGE", large)
    said: list[str] = []
    one = Deployment(tmp_path, Facts(tar=tar))
    agent_apply.apply(one.host, one.request, one.wanted, one.facts, plan(one.wanted, one.facts), said.append)
    assert any("go through PowerShell" in words for words in said) == told


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    full = Deployment(tmp_path, Facts(tar=True), ("tar -xzf", failed(1, "tar: Espace insuffisant")))
    with pytest.raises(AgentError, match=r"code 1: tar: Espace insuffisant.*Free 100 MB"):
        full.apply()
    assert full.host.commands("swap.cmd") == []


def test_bytes_that_tar_got_altered_go_by_put_file_once(tmp_path: Path) -> None:
    altered = Deployment(tmp_path, Facts(tar=True), ("certutil", sections({})))
    with pytest.raises(AgentError, match="arrive altered"):
        altered.apply()
    assert f"{altered.wanted.folder}\\staging-0a1b2c3d\\restic.exe" in altered.host.files


def test_server_2016_has_no_tar_and_gets_put_file(tmp_path: Path) -> None:
    old = Deployment(tmp_path, Facts(tar=False))
    old.apply()
    assert old.host.inputs == []
    assert len(old.host.files) == len({*old.wanted.texts, *old.wanted.secrets}) + 3
    assert old.host.commands("swap.cmd")


@pytest.mark.parametrize(
    ("version", "says"), [("", "does not run"), ('{"version":"0.18.0"}', "says that it is version 0.18.0")]
)
def test_a_binary_that_is_not_what_it_should_be_is_refused(tmp_path: Path, version: str, says: str) -> None:
    strange = Deployment(tmp_path, Facts(tar=True))
    strange.host.rules.insert(0, ("version --json", sections({"version": version})))
    with pytest.raises(AgentError, match=says):
        strange.apply()


URL = "https://depot.example/restic.exe"


def fetching(folder: Path, *rules: Any, ca: str = "") -> Deployment:
    """A new server that is told where restic.exe lies."""
    one = Deployment(folder, Facts(tar=True), *rules)
    one.wanted = replace(one.wanted, binary=replace(one.wanted.binary, url=URL, ca=ca))
    return one


def archived(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return set(archive.getnames())


def test_a_server_fetches_restic_itself_and_the_rest_is_brought(tmp_path: Path) -> None:
    one = fetching(tmp_path, ca="PEM")
    one.apply()
    [data] = one.host.inputs
    assert "restic.exe" not in archived(data)
    assert {"password.txt", "restic-ca.pem"} <= archived(data)
    [line] = one.host.commands("curl.exe")
    assert line.endswith(f"--ssl-no-revoke --cacert restic-ca.pem -o restic.exe {URL}")
    assert "--insecure" not in line
    assert one.order("curl.exe", "certutil.*restic.exe", "version --json", "swap.cmd") == sorted(
        one.order("curl.exe", "certutil.*restic.exe", "version --json", "swap.cmd")
    )


def test_windows_own_authorities_are_asked_about_revocation(tmp_path: Path) -> None:
    one = fetching(tmp_path)
    one.apply()
    [line] = one.host.commands("curl.exe")
    assert line.endswith(f" -o restic.exe {URL}")
    assert not {"--cacert", "--ssl-no-revoke"} & set(line.split())


def test_what_cannot_be_fetched_is_brought(tmp_path: Path) -> None:
    said: list[str] = []
    one = fetching(tmp_path, ("curl.exe", failed(22, "curl: (22) The requested URL returned error: 404")))
    agent_apply.apply(one.host, one.request, one.wanted, one.facts, plan(one.wanted, one.facts), said.append)
    rest, binary = map(archived, one.host.inputs)
    assert (binary, "restic.exe" in rest) == ({"restic.exe"}, False)
    assert said[-1] == (
        "moulin-srv1: it could not (code 22: curl: (22) The requested URL returned error: 404); "
        "restic.exe is delivered from here"
    )


def test_a_file_that_is_not_restic_is_never_run(tmp_path: Path) -> None:
    one = fetching(
        tmp_path, (r"certutil.*staging.*restic\.exe", sections({"restic.exe": "00" * 32 + "\r\n"}))
    )
    with pytest.raises(AgentError, match="arrive altered"):  # by tar and PowerShell too: the rule never ends
        one.apply()
    assert len(one.host.inputs) == 2, "the rest, and restic.exe from here"
    assert one.host.commands("version --json") == one.host.commands("swap.cmd") == []


@pytest.mark.parametrize(
    "url",
    ["http://depot.example/restic.exe", "https://u:p@depot.example/r", "https://x/%20", 'https://x/"&del'],
)
def test_an_address_that_is_none_is_refused_before_the_host_is_asked(url: str) -> None:
    asked = request()
    with pytest.raises(UnusableError, match="prosecours_agent_restic_url"):
        agent_desired.check_request(replace(asked, binary=replace(asked.binary, url=url)))


def test_a_binary_damaged_on_the_controller_is_never_sent(tmp_path: Path) -> None:
    damaged = Deployment(tmp_path, Facts(tar=True))
    (tmp_path / "restic.exe").write_bytes(b"MZ cut")
    with pytest.raises(AgentError, match="is damaged"):
        damaged.apply()
    (tmp_path / "restic.exe").unlink()
    with pytest.raises(AgentError, match="cannot be read"):
        damaged.apply()
    assert damaged.host.inputs == []


def test_a_running_backup_is_waited_for(tmp_path: Path) -> None:
    looks = iter([b"", b"", b"1 \r\n"])
    tries = iter([b"", b"held\r\n"])
    busy = Deployment(
        tmp_path,
        None,
        ("^echo 1 2>>", lambda _: Output(0, next(looks), b"")),
        ("swap.cmd", lambda _: Output(0, b"", next(tries))),
        wait_seconds=600,
    )
    busy.facts = replace(busy.facts, running=True, hashes={**busy.facts.hashes, "restic.exe": "00"})
    busy.apply()
    assert len(busy.host.commands("swap.cmd")) == 2


def test_a_backup_that_does_not_end_is_said_and_nothing_sent(tmp_path: Path) -> None:
    busy = Deployment(tmp_path, None, ("^echo 1 2>>", Output(1, b"", b"")))
    busy.facts = replace(busy.facts, running=True, hashes={**busy.facts.hashes, "restic.exe": "00"})
    with pytest.raises(AgentError, match=r"a backup still runs.*prosecours_agent_wait"):
        busy.apply()
    assert busy.host.inputs == []


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (("swap.cmd", Output(3, b"", "held\r\nAccès refusé.\r\n".encode("cp850"))), "Accès refusé"),
        (("schtasks /create", failed(1, "Erreur")), "was refused by Windows"),
        (("mkdir", failed(5, "Accès refusé")), "cannot be made or closed"),
    ],
)
def test_what_windows_refuses_is_said_in_its_words(tmp_path: Path, rule: Any, says: str) -> None:
    refused = Deployment(tmp_path, Facts(tar=True), rule)
    with pytest.raises(AgentError, match=says):
        refused.apply()


def test_a_lost_connection_stays_what_it_is(tmp_path: Path) -> None:
    error = ConnectionLost("moulin-srv1", "the connection broke", "Check the link")
    lost = Deployment(tmp_path, Facts(tar=True), ("tar -xzf|rmdir", error))
    with pytest.raises(ConnectionLost):
        lost.apply()


def test_the_first_backup_is_started_and_seen(tmp_path: Path) -> None:
    seen = iter([b"1 \r\n", b""])
    first = Deployment(
        tmp_path, None, ("status.json", lambda _: Output(0, next(seen), b"")), first_backup="now"
    )
    first.apply()
    assert first.host.commands("schtasks /run /tn")


# -- the whole flow -------------------------------------------------------------------------------------


def deployed(
    folder: Path, before: Facts, after: Callable[[agent_desired.Desired], Facts], check: bool
) -> Any:
    deployment = Deployment(folder, before)
    states = iter([before, after(deployment.wanted)])
    deployment.host.rules.insert(0, (":task&", lambda line: sections(answers_of(next(states)))(line)))
    return agent.deploy(deployment.host, deployment.request, check), deployment.host


def test_check_mode_predicts_and_sends_one_question(tmp_path: Path) -> None:
    predicted, host = deployed(tmp_path, Facts(tar=True), in_order, check=True)
    assert len(host.lines) == 1
    done, _ = deployed(tmp_path, Facts(tar=True), in_order, check=False)
    assert predicted["changed"]
    assert predicted["changes"] == done["changes"]
    assert predicted["diff"] == done["diff"]
    assert done["repository_id"] == IDENTITY


def test_nothing_to_change_is_one_question(tmp_path: Path) -> None:
    wanted = agent_desired.desired(request(tmp_path / "restic.exe"), shadow_copies=False)
    result, host = deployed(tmp_path, in_order(wanted), in_order, check=False)
    assert len(host.lines) == 1
    assert result == {
        "changed": False,
        "changes": [],
        "diff": [],
        "status": None,
        "outcome": "none yet",
        "running": False,
        "repository_id": IDENTITY,
        "starts_at": "22:59",
    }


def test_what_does_not_stay_changed_is_said(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"still not as it should be \(task .* registered"):
        deployed(
            tmp_path, Facts(tar=True), lambda wanted: replace(in_order(wanted), task_xml=""), check=False
        )


def test_a_cut_answer_is_said(tmp_path: Path) -> None:
    with pytest.raises(Garbled, match=r"^moulin-srv1: .*without the expected end.*TEMP"):
        observe(Host(("##", Output(1, b"Le disque est plein", b""))), "C:\\x")


def test_arguments_become_a_request() -> None:
    arguments = {
        "contract": request().contract.plain(),
        "repository": {
            "url": "rest:https://h/", "username": "u", "password": "p", "encryption_password": "e",
            "ca": None,
        },
        "restic": {"path": "/r", "version": "0.19.1", "sha256": "AB"},
        "folder": "C:\\x\\", "wait": 1, "first_backup": "now", "attempts": 2, "retry_minutes": 3,
        "time_limit_hours": 4, "log_days": 5, "log_kib": 6,
    }  # fmt: skip
    made = agent.request_from(arguments)
    assert (made.folder, made.binary.sha256, made.ca, made.first_backup) == ("C:\\x", "ab", "", "now")
    with pytest.raises(agent_desired.UnusableError):
        agent.request_from({**arguments, "folder": "x"})
