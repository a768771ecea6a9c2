"""Whole deploys on a lab server: what a technician does, what he sees, and what stands afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from support.addresses import address
from support.inventory import write
from winrm.protocol import Protocol

from windows_lab.certificates import Authority

from .conftest import AGENT, CHECKOUT, Site, farm

NOBODY = address()  # listens there
pytestmark = pytest.mark.lab

SECRETS = ("repository-of-val-srv", "encryption-of-val-srv", "Mot2Passe")


def deployed(site: Site, *arguments: str) -> None:
    """A deploy that has to succeed, and a second that has to change nothing."""
    first = site.play("deploy", *arguments)
    assert first.code == 0, first.output
    second = site.play("deploy", *arguments)
    assert second.code == 0, second.output
    assert second.recap["changed"] == 0, second.output


def backed_up(site: Site) -> None:
    """Let the night pass: one snapshot more than before."""
    before = len(site.snapshots())
    site.control.ask("clock", host=site.host, advance=86400.0, to=None)
    assert len(site.snapshots()) == before + 1


def changes(output: str) -> list[str]:
    """The headers of the resources in a diff: what was, or would be, changed."""
    return sorted(set(re.findall(r"^--- before: (.*)$", output, re.MULTILINE)))


@contextlib.contextmanager
def depot(site: Site, files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A static HTTPS place, certified by the lab's authority: its address, and what it is asked for."""
    asked: list[str] = []

    class Static(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            pass

    where = address()
    context = Authority(site.state).server_context("depot", [where])[0]
    server = ThreadingHTTPServer((where, 0), Static)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://{where}:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_check_predicts_what_a_run_does_and_a_second_run_does_nothing(bare: Site) -> None:
    predicted = bare.play("deploy", "--check", "--diff")
    assert predicted.code == 0, predicted.output
    assert bare.run(f'if exist "{AGENT}" (exit 1)')[0] == 0, "check mode left something on the server"
    done = bare.play("deploy", "--diff")
    assert done.code == 0, done.output
    assert changes(predicted.output) == changes(done.output) != []
    assert predicted.recap["changed"] == done.recap["changed"] > 0
    after = bare.play("deploy", "--check", "--diff")
    assert after.recap["changed"] == 0, after.output
    assert changes(after.output) == []
    assert not [secret for secret in SECRETS for run in (predicted, done, after) if secret in run.output]


def test_no_secret_in_a_verbose_log_nor_in_any_command_line(bare: Site) -> None:
    run = bare.play("deploy", "-vvvvv")
    assert run.code == 0, run.output
    asked = (bare.state / "hosts" / bare.host / "journal.jsonl").read_text(encoding="utf-8")
    for secret in SECRETS[:2]:
        assert secret not in asked
        assert secret not in run.output


def test_the_journal_tells_what_a_deploy_changed(
    bare: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C10: each change with its sentence, for its client and server; the second deploy changed nothing."""
    monkeypatch.setitem(bare.environment, "PROSECOURS_JOURNAL", str(tmp_path / "journal.jsonl"))
    deployed(bare)
    text = (tmp_path / "journal.jsonl").read_text("utf-8")
    begin, end, _, idle = [json.loads(line) for line in text.splitlines()]
    assert begin["clients"] == {bare.client: [bare.host]}
    assert begin["reason"] == "the lab keeps no office hours"
    [row] = [row for row in end["rows"] if row["host"] == bare.host]
    assert (row["client"], row["result"], end["result"]) == (bare.client, "changed", "changed")
    assert any("restic.exe" in sentence for sentence in row["changes"]), row
    assert idle["result"] == "ok"
    assert not [secret for secret in SECRETS if secret in text]


def test_idle_deploy_stays_within_its_figures(bare: Site) -> None:
    assert bare.play("deploy").code == 0
    bare.control.ask("reset", host=bare.host)
    assert bare.play("deploy").code == 0
    counters = bare.counters()
    assert counters["authenticated_requests"] <= 5, "one login: preflight has observed the agent, too"
    assert counters["body_bytes"] <= 20 * 1024


def test_restic_is_fetched_by_the_server_itself(bare: Site) -> None:
    """The technician's line carries some kilobytes; what arrives is proved by its SHA-256, as ever."""
    wanted = binaries.artefact("restic", "windows/amd64")
    content = binaries.obtain(wanted, binaries.default_cache(), print).path.read_bytes()
    with depot(bare, {"/restic.exe": content}) as (url, asked):
        pull = (
            *("-e", f"prosecours_agent_restic_url={url}/restic.exe"),
            *("-e", json.dumps({"prosecours_agent_restic_ca": (bare.state / "ca.pem").read_text("ascii")})),
        )
        bare.control.ask("reset", host=bare.host)
        deployed(bare, *pull)
    assert asked == ["/restic.exe"]
    assert bare.counters()["stdin_bytes"] < 100_000 < len(content)
    printed = bare.expect(f'certutil -hashfile "{AGENT}\\restic.exe" SHA256').replace(" ", "")
    assert hashlib.sha256(content).hexdigest() in printed
    assert bare.run(f'if exist "{AGENT}\\restic-ca.pem" (exit 1)')[0] == 0
    backed_up(bare)


def test_what_lies_at_the_address_and_is_not_restic_is_never_used(bare: Site) -> None:
    with depot(bare, {"/restic.exe": b"MZ" + bytes(1000)}) as (url, asked):
        authority = json.dumps({"prosecours_agent_restic_ca": (bare.state / "ca.pem").read_text("ascii")})
        done = bare.play("deploy", "-e", f"prosecours_agent_restic_url={url}/restic.exe", "-e", authority)
        assert done.code == 0, done.output
        assert asked == ["/restic.exe"]
        assert "its SHA-256 differs; restic.exe is delivered from here" in done.output
        # A certificate of nobody whom the server trusts: nothing is asked for.
        unknown = bare.play("deploy", "-e", f"prosecours_agent_restic_url={url}/restic.exe")
        assert (unknown.code, unknown.recap["changed"], len(asked)) == (0, 0, 1)
    backed_up(bare)


def test_backup_runs_at_night(bare: Site) -> None:
    deployed(bare)
    backed_up(bare)


def test_first_backup_at_once(bare: Site) -> None:
    before = time.time()
    done = bare.play("deploy", "-e", "prosecours_agent_first_backup=now")
    assert done.code == 0, done.output
    deadline = before + 120
    while time.time() < deadline and bare.run(f'if not exist "{AGENT}\\status.json" (exit 1)')[0]:
        time.sleep(1)
    assert '"exit_code": 0' in bare.expect(f'type "{AGENT}\\status.json"')


def test_a_client_is_added_by_one_file(site: Site) -> None:
    added = site.inventory / "nouveau.yml"
    write(added, farm("ferme_neuve", "neuve-srv", address(), "PS-2026-0501"))
    try:
        site.up()
        done = site.play("deploy", "--limit", "ferme_neuve")
        assert done.code == 0, done.output
        assert done.recap["changed"] > 0
    finally:
        added.unlink()


# -- faults: a clear sentence, nothing lost, and the next run converges ---------------------------------


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ({"ansible_host": NOBODY}, f"No answer from {NOBODY} port 5986"),
        ({"ansible_port": "5999"}, "No answer from {address} port 5999"),
        ({"ansible_password": "Faux"}, "refused the login"),
        ({"ansible_winrm_ca_trust_path": "/etc/ssl/certs/ca-certificates.crt"}, "certificate"),
    ],
    ids=["host", "port", "password", "certificate"],
)
def test_wrong_connection_is_one_sentence(bare: Site, override: dict[str, str], says: str) -> None:
    extra = [word for item in override.items() for word in ("-e", "=".join(item))]
    failed = bare.play("deploy", *extra)
    assert failed.code != 0
    assert says.format(address=bare.address) in re.sub(r"\s+", " ", failed.output)
    assert "Traceback" not in failed.output
    assert bare.counters()["refused_logins"] <= 1, "a refused login was tried again: that locks accounts"
    deployed(bare)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "cut", "on": "Send", "after_bytes": 3_000_000}, "the connection to"),
        ({"kind": "corrupt", "on": "Send", "after_bytes": 3_000_000}, ""),
        ({"kind": "truncate", "on": "Send", "after_bytes": 3_000_000}, ""),
        ({"kind": "500", "on": "Receive"}, ""),
    ],
    ids=["cut", "corrupted", "truncated", "500"],
)
def test_delivery_that_goes_wrong_loses_nothing(bare: Site, fault: dict[str, object], says: str) -> None:
    bare.control.ask("fault", host=bare.host, **fault)
    failed = bare.play("deploy")
    assert failed.code != 0, failed.output
    assert says in re.sub(r"\s+", " ", failed.output)
    assert "Traceback" not in failed.output
    assert bare.run(f'if exist "{AGENT}\\restic.exe" (exit 1)')[0] == 0, "a damaged binary was put in place"
    bare.control.ask("clear", host=bare.host)
    deployed(bare)


def test_a_program_that_an_antivirus_takes_away_is_said_and_brought_again(bare: Site) -> None:
    """It arrives intact and runs, and goes as soon as it is in its place."""
    program = bare.state / "hosts" / bare.host / "wine/drive_c/Program Files/ProSecours/restic.exe"
    deployed_once = threading.Event()

    def quarantine() -> None:
        while not deployed_once.wait(0.01):
            program.unlink(missing_ok=True)

    with ThreadPoolExecutor(1) as antivirus:
        antivirus.submit(quarantine)
        failed = bare.play("deploy")
        deployed_once.set()
    assert failed.code != 0, failed.output
    assert "the host is still not as it should be (restic.exe" in failed.text, failed.output
    assert "an antivirus" in failed.text
    assert "Traceback" not in failed.output
    deployed(bare)


def test_a_restic_that_hangs_is_ended_and_said(bare: Site) -> None:
    """The way to the repository is there for preflight, and falls silent under restic."""
    with socket.create_server((bare.address, 0)) as way:
        silent = f"rest:https://{bare.address}:{way.getsockname()[1]}/"
        with ThreadPoolExecutor(1) as between:
            left = between.submit(only_the_first_gets_through, way, (bare.address, 8443))
            failed = bare.play("deploy", "-e", f"prosecours_repository_url={silent}")
            way.shutdown(socket.SHUT_RDWR)
    assert failed.code != 0, failed.output
    assert f"the repository {silent}{bare.host}/ cannot be reached" in failed.text, failed.output
    assert "nothing in place was replaced" in failed.text
    assert "Traceback" not in failed.output
    assert left.result() > 0, "restic never went that way"
    deployed(bare)


def only_the_first_gets_through(way: socket.socket, there: tuple[str, int]) -> int:
    """Whoever comes later is answered nothing. How many came, all of whom have left once the way is shut."""
    first, _unused = way.accept()
    with first, socket.create_connection(there) as repository:
        ends = {first: repository, repository: first}
        while data := (ready := select.select([*ends], [], [])[0][0]).recv(65536):
            ends[ready].sendall(data)
    later = []
    with contextlib.suppress(OSError):
        while True:
            later.append(way.accept())
    for connection, _unused in later:
        with connection:
            connection.settimeout(10)
            while connection.recv(65536):
                pass
    return len(later)


def test_quota_fault_costs_a_new_shell_only(bare: Site) -> None:
    bare.control.ask("fault", host=bare.host, kind="quota")
    deployed(bare)


def test_full_disk_is_said_and_repaired(bare: Site) -> None:
    bare.control.ask("disk", host=bare.host, free_bytes=5_000_000)
    failed = bare.play("deploy")
    assert failed.code != 0, failed.output
    assert "free" in failed.output.lower()
    bare.control.ask("clear", host=bare.host)
    deployed(bare)


@pytest.mark.parametrize(
    "request_held",
    [
        {"on": "Command", "nth": 12},
        {"on": "Send", "after_bytes": 3_000_000},
        {"on": "Receive", "nth": 40},
    ],
    ids=["question", "delivery", "end"],
)
def test_ctrl_c_anywhere(bare: Site, request_held: dict[str, Any]) -> None:
    """While the server is slow to answer that request, and not after so many seconds: a Ctrl-C at the moment
    in which Ansible forks a worker is Ansible's own matter (ansible/ansible#86946)."""
    bare.control.ask("fault", host=bare.host, kind="delay", seconds=3.0, **request_held)
    process = subprocess.Popen(
        bare.command("deploy"),
        cwd=CHECKOUT,
        env=bare.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while bare.status()["faults"]:
        assert process.poll() is None, "it ended before that request"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # not kill(1): some read "-1234" as -1, which is every process
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0, printed
    assert "Traceback" not in printed, printed
    deployed(bare)


@pytest.mark.parametrize("name", ["staging", "staging-0a1b2c3d"])
def test_a_command_that_never_ends_stands_in_no_deploys_way(bare: Site, name: str) -> None:
    """What an interrupted deploy may leave: a cmd that waits for input for ever, in its staging folder."""
    held = f"{AGENT}\\{name}"
    bare.expect(f'mkdir "{held}"')
    winrm = Protocol(
        f"https://{bare.address}:5986/wsman",
        transport="ntlm",
        username="technicien",
        password="Mot2Passe",
        ca_trust_path=str(bare.state / "ca.pem"),
    )
    shell = winrm.open_shell()
    winrm.run_command(shell, f'cd /d "{held}"&&tar -xzf -', console_mode_stdin=False)
    deadline = time.monotonic() + 30
    while bare.run(f'ren "{held}" "{name}"')[0] == 0:
        assert time.monotonic() < deadline, "nothing holds the folder"
        time.sleep(0.2)
    deployed(bare)
    assert bare.run(f'if not exist "{held}" (exit 1)')[0] == 0, "it was not held at all"
    foretold = bare.play("deploy", "--check", "--diff")
    assert changes(foretold.output) == []
    winrm.close_shell(shell)
    predicted, done = bare.play("deploy", "--check", "--diff"), bare.play("deploy", "--diff")
    assert changes(predicted.output) == changes(done.output) == [f"{bare.host}: staging {held}"]
    assert bare.run(f'if exist "{held}" (exit 1)')[0] == 0
    deployed(bare)


# -- the repository -------------------------------------------------------------------------------------


def test_repository_down_then_up(bare: Site) -> None:
    bare.control.ask("repository", client=bare.client, order="stop")
    try:
        failed = bare.play("deploy")
        assert failed.code != 0
        assert bare.run(f'if exist "{AGENT}\\restic.exe" (exit 1)')[0] == 0
    finally:
        bare.control.ask("repository", client=bare.client, order="start")
    deployed(bare)


def test_full_repository_is_named(bare: Site) -> None:
    deployed(bare)
    bare.wipe()
    bare.control.ask("repository", client=bare.client, order="limit", max_size=1)
    try:
        shutil.rmtree(repository_data(bare) / bare.host)
        failed = bare.play("deploy")
        assert failed.code != 0
        assert " is full; " in re.sub(r"\s+", " ", failed.output)
    finally:
        bare.control.ask("repository", client=bare.client, order="limit", max_size=None)
    deployed(bare)


def test_wrong_encryption_password_is_refused_and_nothing_overwritten(bare: Site) -> None:
    deployed(bare)
    before = bare.expect(f'certutil -hashfile "{AGENT}\\password.txt" SHA256')
    failed = bare.play("deploy", "-e", "prosecours_encryption_password=un-autre-mot-de-passe")
    assert failed.code != 0
    assert "encryption password" in re.sub(r"\s+", " ", failed.output)
    assert bare.expect(f'certutil -hashfile "{AGENT}\\password.txt" SHA256') == before
    deployed(bare)


def test_unknown_certificate_of_the_repository(bare: Site) -> None:
    failed = bare.play("deploy", "-e", "prosecours_repository_ca=''")
    assert failed.code != 0
    assert "certificate" in failed.output
    deployed(bare)


def repository_data(site: Site) -> Path:
    """The folder of the client's rest-server."""
    repositories = site.control.ask("status")["repositories"]
    repository = next(one for one in repositories if one["client"] == site.client)
    return Path(repository["data"])


def test_a_deploy_lets_a_client_back_in_that_has_less_than_before(bare: Site, tmp_path: Path) -> None:
    """A repository host of its own; closed, as retention closes it over the subscribed volume (C15)."""
    snapshots = tmp_path / "data" / bare.client / bare.host / "snapshots"
    state = tmp_path / "state" / bare.client
    for folder in (snapshots, state):
        folder.mkdir(parents=True)
    known = {"bytes": 20 * 10**9, "at": "2026-01-05T22:00:00+00:00"}
    (state / "usage.json").write_text(f'{{"subscribed_gb": 10, "servers": {json.dumps({bare.host: known})}}}')
    for folder in (snapshots, snapshots.parent):
        folder.chmod(0o555)
    hosts = bare.inventory / "depot.yml"
    hosts.write_text(
        "prosecours_repositories:\n  hosts:\n    depot:\n      ansible_connection: local\n"
        '      ansible_become: false\n      ansible_python_interpreter: "{{ ansible_playbook_python }}"\n'
        f"      prosecours_repository_data: {tmp_path}/data\n"
        f"      prosecours_retention_state: {tmp_path}/state\n"
    )
    try:
        foretold = bare.play("deploy", "--check", "--diff")
        assert "+new backups: accepted" in foretold.output
        assert snapshots.stat().st_mode & 0o222 == 0
        done = bare.play("deploy", "--diff")
        assert done.code == 0, done.output
        assert changes(foretold.output) == changes(done.output)
        assert snapshots.stat().st_mode & 0o200
        again = bare.play("deploy")
        assert (again.code, again.recap["changed"]) == (0, 0), again.output
    finally:
        hosts.unlink()
