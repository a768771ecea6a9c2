"""The systemd way: the units by systemd's own checks where systemd is installed, the orders by a stand-in.

No test here starts a unit: that needs a machine whose first process is systemd.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.host import Host, Secrets
from ansible_collections.prosecours.backup.plugins.module_utils.repository_host.supervision import (
    Instance,
    Settings,
    Systemd,
    command,
)

ANALYZE = shutil.which("systemd-analyze")
ONE = Instance(
    client="moulin",
    user="ps-moulin",
    servers=("moulin-srv1", "moulin-sql"),
    listen="127.0.6.1:8042",
    name="127.0.6.1",
    max_bytes=10**9,
)

# Keeps what systemd would keep (enabled or not, the pid), and starts what ExecStart says.
STAND_IN = """#!{python}
import json, os, re, signal, subprocess, sys
from pathlib import Path

state_file, units = Path(os.environ["STATE_FILE"]), Path(os.environ["UNITS"])
empty = {{"enabled": [], "pids": {{}}, "said": []}}
state = json.loads(state_file.read_text()) if state_file.exists() else empty
verb, *rest = sys.argv[1:]
names = [name for name in rest if not name.startswith("--")]
state["said"].append(" ".join([verb, *names]))

def stop(name):
    if pid := state["pids"].pop(name, 0):
        os.kill(pid, signal.SIGKILL)

if verb == "show":
    blocks = []
    for name in names:
        enabled = "enabled" if name in state["enabled"] else "disabled"
        blocks.append(f"MainPID={{state['pids'].get(name, 0)}}\\nUnitFileState={{enabled}}\\n")
    sys.stdout.write("\\n".join(blocks))
elif verb == "enable":
    state["enabled"] = sorted({{*state["enabled"], *names}})
elif verb == "disable":
    state["enabled"] = sorted({{*state["enabled"]}} - {{*names}})
    for name in names:
        stop(name)
elif verb == "restart":
    for name in names:
        stop(name)
        text = (units / f"{{name}}.d" / "instance.conf").read_text()
        line = re.search(r"^ExecStart=(.*)$", text, re.M)[1].split()
        assigned = re.search(r"^Environment=(.*?)=(.*)$", text, re.M)
        null = subprocess.DEVNULL
        child = subprocess.Popen(line, env={{assigned[1]: assigned[2]}}, stdin=null, stdout=null, stderr=null)
        state["pids"][name] = child.pid
elif verb != "daemon-reload":
    sys.exit(f"Unknown command verb {{verb}}.")
state_file.write_text(json.dumps(state))
"""


def settings(folder: Path, check: bool = False) -> Settings:
    return Settings(
        data=folder / "data",
        config=folder / "config",
        program=folder / "rest-server",
        program_sha256=None,
        certificate=None,
        certificate_days=825,
        renew_days=60,
        check=check,
        units=folder / "units",
    )


def written(folder: Path) -> Path:
    """The unit of one client in a folder as systemd has them."""
    shared = settings(folder)
    keeper = Systemd(shared)
    for path, text in keeper.shared().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    own = keeper.own_file(ONE.client)
    own.parent.mkdir(parents=True)
    own.write_text(keeper.own_text(ONE, "0123456789abcdef"), "utf-8")
    shared.program.write_text("#!/bin/sh\n", "utf-8")
    shared.program.chmod(0o755)
    instance = shared.units / keeper.unit(ONE.client)
    instance.symlink_to(next(iter(keeper.shared())))
    return instance


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(ANALYZE), "verify", "--man=no", str(written(tmp_path))],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}/units:/lib/systemd/system"},
        capture_output=True,
        text=True,
        check=False,
    )
    about_ours = [
        line for line in done.stderr.splitlines() if "prosecours" in line or "instance.conf" in line
    ]
    assert (done.returncode, about_ours) == (0, []), done.stderr


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_rates_the_exposure_as_low(tmp_path: Path) -> None:
    """0 is closed, 10 is open; systemd calls up to 2 "OK"."""
    done = subprocess.run(
        [str(ANALYZE), "security", "--offline=true", "--threshold=20", "--no-pager", str(written(tmp_path))],
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}/units:/lib/systemd/system"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_is_closed_but_for_the_clients_own_folder(tmp_path: Path) -> None:
    text = written(tmp_path).read_text("utf-8")
    lines = text.splitlines()
    for line in ("ProtectSystem=strict", "NoNewPrivileges=yes", "Restart=always", "CapabilityBoundingSet="):
        assert line in lines
    assert [line for line in lines if line.startswith("ReadWritePaths")] == [
        f"ReadWritePaths={tmp_path}/data/%i"
    ]
    own = Systemd(settings(tmp_path)).own_text(ONE, None).splitlines()
    assert own == [
        "[Service]",
        "User=ps-moulin",
        "Group=ps-moulin",
        f"ExecStart={' '.join(command(ONE, settings(tmp_path)))}",
        "SocketBindAllow=tcp:8042",
    ]


def test_the_orders_to_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enabled, started, left alone; restarted for a new password; stopped and forgotten at the end."""
    # Here every instance is the tests' own user, and rest-server is a listener that takes its arguments.
    monkeypatch.setattr(Settings, "separate_users", False)
    stand_in = tmp_path / "bin" / "systemctl"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(python=sys.executable), "utf-8")
    stand_in.chmod(0o755)
    state = tmp_path / "state.json"
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("STATE_FILE", str(state))
    monkeypatch.setenv("UNITS", str(tmp_path / "units"))
    program = tmp_path / "rest-server"
    program.write_text(
        f"#!{sys.executable}\nimport socket, sys, time\n"
        "address, port = sys.argv[sys.argv.index('--listen') + 1].split(':')\n"
        "with socket.create_server((address, int(port))):\n    time.sleep(60)\n",
        "utf-8",
    )
    program.chmod(0o755)

    def brought_about(password: str) -> list[str]:
        shared = settings(tmp_path)
        host = Host(shared, Secrets({ONE.client: password}, None), Systemd(shared))
        done = []
        for change in host.plan([ONE]):
            change.apply()
            done.append(change.what)
        return done

    def said() -> list[str]:
        found = json.loads(state.read_text("utf-8"))
        orders = [line for line in found["said"] if not line.startswith("show")]
        state.write_text(json.dumps(found | {"said": []}), "utf-8")
        return orders

    unit = "prosecours-repository@moulin.service"
    try:
        assert f"{tmp_path}/units/{unit}.d/instance.conf" in brought_about("moulin:one\n")
        assert said() == ["daemon-reload", f"enable {unit}", f"restart {unit}"]
        assert brought_about("moulin:one\n") == []
        assert said() == []
        assert len(brought_about("moulin:two\n")) == 2
        assert said() == ["daemon-reload", f"enable {unit}", f"restart {unit}"]
        found = json.loads(state.read_text("utf-8"))
        state.write_text(json.dumps(found | {"enabled": []}), "utf-8")
        assert len(brought_about("moulin:two\n")) == 1  # it would not start at the next boot
        said()
    finally:
        shared = settings(tmp_path)
        for change in Host(shared, Secrets({}, None), Systemd(shared)).removal("moulin", "ps-moulin"):
            change.apply()
    assert said() == [f"disable {unit}", "daemon-reload"]
    assert not list(tmp_path.rglob("*moulin*"))
