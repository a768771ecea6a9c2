"""The lab as a tool: daemon, command line, inventory, repositories; with hosts that need no Wine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from lab.linux_machine import LinuxMachine
from support.addresses import address

from windows_lab import daemon, inventory
from windows_lab.control import Control, running_pid
from windows_lab.errors import LabError
from windows_lab.inventory import HostSpec, Plan, RepositorySpec
from windows_lab.lab import Lab
from windows_lab.repository import find_program

TESTS = Path(__file__).resolve().parents[1]
PACKAGES = f"{TESTS.parent}{os.pathsep}{TESTS}"
MACHINE = "lab.linux_machine:LinuxMachine"

CLIENT = """\
prosecours_clients:
  children:
    {client}:
      vars:
        prosecours_root: 'D:\\'
        prosecours_repository_url: rest:https://127.0.0.1:{port}/
        prosecours_repository_password: "{{{{ 'dep' ~ 'ot' }}}}"
        prosecours_repository_ca: "{{{{ lookup('ansible.builtin.file', '/nulle/part.pem') }}}}"
        prosecours_encryption_password: never to be seen
      hosts:
        {client}-srv:
          ansible_host: {address}
          ansible_user: Administrateur
          ansible_password: "{{{{ lookup('ansible.builtin.env', 'LAB_TEST_SECRET') }}}}"
          lab_windows: 2022
"""


@dataclass
class Tool:
    """One lab: its state folder, its inventory, its addresses."""

    folder: Path
    addresses: dict[int, str] = field(default_factory=lambda: defaultdict(address))

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def control(self) -> Control:
        return Control(self.state)

    def address(self, number: int) -> str:
        """Of the server of that number: of this lab alone."""
        return self.addresses[number]

    def write(self, client: str, number: int, **changes: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        text = CLIENT.format(client=client, address=self.address(number), port=port)
        for old, new in changes.items():
            text = text.replace(old, new)
        (self.folder / "inventory").mkdir(exist_ok=True)
        (self.folder / "inventory" / f"{client}.yml").write_text(text)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "windows_lab",
            *arguments[:1],
            "--state",
            str(self.state),
            *arguments[1:],
        ]
        variables = {**os.environ, "PYTHONPATH": PACKAGES, "LAB_TEST_SECRET": "mot:de passe", **environment}
        return subprocess.run(
            command, env=variables, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def up(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inventory_arguments = ("--inventory", str(self.folder / "inventory"), "--machine", MACHINE)
        return self.run("up", *inventory_arguments, *arguments, **environment)

    def login(self, number: int, password: str = "mot:de passe") -> int:
        """The HTTP status of an empty request with Basic."""
        url = f"https://{self.address(number)}:5986/wsman"
        auth = ("Administrateur", password)
        return requests.post(url, auth=auth, verify=str(self.state / "ca.pem"), timeout=5).status_code


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Tool]:
    find_program()  # says what to do where there is no rest-server
    tool = Tool(tmp_path)
    yield tool
    tool.run("down")


def said(result: subprocess.CompletedProcess[str]) -> str:
    """The one thing that a refused command says."""
    assert result.returncode == 1, result
    assert "Traceback" not in result.stderr
    return result.stderr.strip()


def processes_of(state: Path) -> list[str]:
    """Command lines of what still runs for a state folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(state) in line:
            found.append(line)
    return found


def test_up_status_down(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.write("moulin", 2)
    result = lab.up()
    assert result.returncode == 0, result
    assert "2 hosts and 2 repositories run" in result.stdout
    assert lab.login(1) == lab.login(2) == 200
    table = lab.run("status").stdout
    assert "ferme-srv" in table
    assert "rest:https://127.0.0.1" in table
    status = json.loads(lab.run("status", "--json").stdout)
    (ferme, _) = status["hosts"]
    assert (ferme["name"], ferme["windows"], ferme["users"]) == ("ferme-srv", "2022", ["Administrateur"])
    assert ferme["counters"]["authenticated_requests"] == 1
    assert ferme["counters"]["refused_logins"] == 0
    assert "mot:de" not in json.dumps(status)
    assert lab.run("down").returncode == 0
    assert processes_of(lab.state) == []
    assert "was not running" in lab.run("down").stdout
    assert "not running" in said(lab.run("status"))


def test_a_second_up_adds_what_is_new_and_takes_new_passwords(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.up()
    pid = running_pid(lab.state)
    lab.write("moulin", 2)
    result = lab.up(LAB_TEST_SECRET="nouveau")
    assert result.returncode == 0, result
    assert running_pid(lab.state) == pid
    assert lab.login(2, "nouveau") == lab.login(1, "nouveau") == 200
    assert lab.login(1) == 401


def test_only_some_hosts(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.write("moulin", 2)
    assert "1 hosts and 1 repositories run" in lab.up("--only", "moulin").stdout
    assert "no host" in said(lab.up("--only", "personne"))


@pytest.mark.parametrize("victim", ["daemon", "nobody"])
def test_nothing_is_left_when_the_daemon_was_killed(lab: Tool, victim: str) -> None:
    lab.write("ferme", 1)
    lab.up()
    lab.run("run", "ferme-srv", "sleep 100 >/dev/null 2>&1 &")
    pid = running_pid(lab.state)
    assert pid is not None
    if victim == "daemon":
        os.kill(pid, signal.SIGKILL)
        while running_pid(lab.state):
            time.sleep(0.02)
        assert any("rest-server" in line for line in processes_of(lab.state))
        assert "not running" in said(lab.run("status"))
    assert "the lab is down" in lab.run("down").stdout
    assert processes_of(lab.state) == []
    result = lab.up()
    assert result.returncode == 0, result
    assert lab.login(1) == 200


def test_up_after_a_killed_daemon_starts_anew(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.up()
    pid = running_pid(lab.state)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    result = lab.up()
    assert result.returncode == 0, result
    assert lab.login(1) == 200
    assert len([line for line in processes_of(lab.state) if "rest-server " in line]) == 1


def test_purge_forgets_disks_and_repositories(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.up()
    lab.run("down")
    assert (lab.state / "data" / "ferme").is_dir()
    lab.run("down", "--purge")
    assert not (lab.state / "repositories").exists()
    assert not (lab.state / "data").exists()
    assert (lab.state / "ca.pem").exists()


def test_a_command_is_run_past_winrm(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.up()
    result = lab.run("run", "ferme-srv", "echo", "sortie;", "echo", "erreur", ">&2;", "exit", "7")
    assert (result.returncode, result.stdout, result.stderr) == (7, "sortie\n", "erreur\n")
    assert "run needs a command line" in said(lab.run("run", "ferme-srv"))
    assert "no host inconnu; it has: ferme-srv" in said(lab.run("run", "inconnu", "true"))


def test_faults_clock_log_and_reset(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.up()
    assert lab.run("fault", "ferme-srv", "cut", "--on", "Create", "--nth", "2").returncode == 0
    assert lab.control.ask("status")["hosts"][0]["faults"] == [
        {"kind": "cut", "on": "Create", "nth": 2, "times": 1, "after_bytes": 0, "seconds": 0.0}
    ]
    assert lab.run("fault", "ferme-srv", "clear").returncode == 0
    assert lab.control.ask("status")["hosts"][0]["faults"] == []
    assert "at least" in said(lab.run("fault", "ferme-srv", "cut", "--nth", "0"))
    assert lab.run("fault", "ferme-srv", "inconnu").returncode == 2
    assert "--bytes" in said(lab.run("fault", "ferme-srv", "disk"))
    assert lab.run("fault", "ferme-srv", "disk", "--bytes", "1000").returncode == 0

    lab.run("fault", "ferme-srv", "clock", "--seconds", "7200")
    assert lab.control.ask("status")["hosts"][0]["clock_offset"] == 7200

    assert lab.run("clock", "ferme-srv").stdout == "ferme-srv 2026-01-05T12:00:00+00:00\n"
    assert "2026-01-05T22:30:00" in lab.run("clock", "--advance", "10h30m").stdout
    assert "2026-01-06T01:00:00" in lab.run("clock", "--to", "2026-01-06T02:00+01:00").stdout
    assert "never goes back" in said(lab.run("clock", "--to", "2026-01-01T00:00"))

    assert lab.login(1, "faux") == 401
    assert "REFUSED, 1 in a row" in lab.run("log", "ferme-srv").stdout
    entries = [json.loads(line) for line in lab.run("log", "--json").stdout.splitlines()]
    assert {"login", "request"} <= {entry["event"] for entry in entries}
    assert "no journal of inconnu" in said(lab.run("log", "inconnu"))
    lab.run("reset")
    assert lab.control.ask("status")["hosts"][0]["counters"]["requests"] == 0


def test_a_repository_is_tls_private_append_only_and_can_be_stopped(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.up()
    (server,) = lab.control.ask("status")["repositories"]
    url = server["url"].removeprefix("rest:") + "ferme-srv/"

    def ask(method: str, address: str, password: str = "depot", data: bytes = b"") -> int:
        return requests.request(
            method,
            address,
            auth=("ferme-srv", password),
            data=data,
            verify=str(lab.state / "ca.pem"),
            timeout=5,
        ).status_code

    assert ask("POST", url + "?create=true") == 200
    assert ask("GET", url, "faux") == 401
    assert ask("GET", url.replace("/ferme-srv/", "/autre/")) == 401
    assert ask("POST", url + "config", data=b"1") == 200
    assert ask("DELETE", url + "config") == 403
    lab.run("repository", "ferme", "limit", "--max-size", "1")
    assert ask("POST", url + "keys/" + "0" * 64, data=b"12345") in (413, 507)
    lab.run("repository", "ferme", "limit")
    lab.run("repository", "ferme", "stop")
    assert lab.control.ask("status")["repositories"][0]["pid"] is None
    with pytest.raises(requests.exceptions.ConnectionError):
        ask("GET", url + "config")
    lab.run("repository", "ferme", "start")
    assert ask("GET", url + "config") == 200
    assert "no repository of inconnu" in said(lab.run("repository", "inconnu", "stop"))


# -- what cannot be started: one sentence each, exit code 1 ---------------------------------------------


def test_an_address_that_is_taken(lab: Tool) -> None:
    lab.write("ferme", 1)
    with socket.create_server((lab.address(1), 5986)):
        assert "already taken" in said(lab.up())
    assert lab.up().returncode == 0


def test_a_repository_port_that_is_taken(lab: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TEST_SECRET", "s3cret")
    lab.write("ferme", 1)
    plan = inventory.read([str(lab.folder / "inventory" / "ferme.yml")])
    with socket.create_server(("127.0.0.1", plan.repositories[0].port)):
        assert "cannot listen on 127.0.0.1" in said(lab.up())


def test_no_rest_server(lab: Tool) -> None:
    lab.write("ferme", 1)
    assert "PROSECOURS_REST_SERVER" in said(lab.up(PROSECOURS_REST_SERVER="/nulle/part"))
    assert "cannot be run" in said(lab.up("--rest-server", "/nulle/part"))


def test_no_inventory(lab: Tool) -> None:
    assert "There is no inventory" in said(lab.up())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("ansible_user: Administrateur", "autre: 1", "ferme-srv: the inventory lacks ansible_user"),
        ("ansible_host: 127", "ansible_host: 10", "only plays hosts on loopback addresses"),
        ("rest:https://", "https://", "is not rest:https://host:port/"),
        ("prosecours_repository_password: ", "autre: ", "prosecours_repository_password"),
        ("'dep' ~ 'ot'", "inconnue", "ferme-srv"),
        ("prosecours_clients:", "autres:", "no host in group prosecours_clients"),
        ("prosecours_clients:", "prosecours_clients: [", "The inventory cannot be read"),
    ],
)
def test_an_inventory_that_is_no_lab(lab: Tool, old: str, new: str, sentence: str) -> None:
    lab.write("ferme", 1, **{old: new})
    assert sentence in said(lab.up())
    assert running_pid(lab.state) is None


def test_two_hosts_of_one_address(lab: Tool) -> None:
    lab.write("ferme", 1)
    lab.write("moulin", 1)
    assert f"{lab.address(1)} already belongs to ferme-srv" in said(lab.up())


def test_the_inventory_is_resolved_and_secrets_stay_where_they_belong(
    lab: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TEST_SECRET", "s3cret")
    lab.write("ferme", 1)
    plan = inventory.read([str(lab.folder / "inventory")])
    (host,) = plan.hosts
    assert host.users == {"Administrateur": "s3cret"}
    assert host.settings["lab_windows"] == 2022
    assert host.settings["prosecours_root"] == "D:\\"
    assert not any("password" in key for key in host.settings)
    assert plan.repositories == [
        RepositorySpec("ferme", "127.0.0.1", plan.repositories[0].port, {"ferme-srv": "depot"})
    ]
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_state_folder_may_lie_deep(lab: Tool) -> None:
    lab.folder = lab.folder.joinpath(*["profond" * 5] * 5)
    lab.folder.mkdir(parents=True)
    lab.write("ferme", 1)
    assert lab.up().returncode == 0
    assert lab.login(1) == 200
    lab.run("down")
    shutil.rmtree(lab.state)


def test_down_ends_a_daemon_that_hangs(lab: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "END_SECONDS", 0.5)
    lab.write("ferme", 1)
    lab.up()
    pid = running_pid(lab.state)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert daemon.stop(lab.state, print)
    assert processes_of(lab.state) == []


def test_an_address_that_this_machine_lacks(tmp_path: Path) -> None:
    """192.0.2.1 is for documentation (RFC 5737): nobody has it."""
    running = Lab(tmp_path, LinuxMachine)
    spec = HostSpec("ferme-srv", "192.0.2.1", {"technicien": "secret"})
    with pytest.raises(LabError, match=r"192\.0\.2\.1:5985 is no address of this machine"):
        running.up(Plan([spec], []), print)
    assert running.hosts == {}


def test_one_host_that_fails_leaves_the_others(lab: Tool) -> None:
    class Broken(LinuxMachine):
        def prepare(self) -> None:
            if self.name == "malade":
                raise RuntimeError("panne")

    running = Lab(lab.state, Broken)
    specs = [
        HostSpec(name, lab.address(number), {"a": "b"}) for number, name in ((1, "saine"), (2, "malade"))
    ]
    with pytest.raises(LabError, match="malade did not start: RuntimeError"):
        running.up(Plan(specs, []), print)
    assert list(running.hosts) == ["saine"]
    running.close()
