"""awx/ as data: the modules of awx.awx take it, and what they make of it runs by ansible-runner, as in AWX.

AWX itself is a stand-in (stand_in.py, job.py); the modules, ansible-runner, the playbooks, PostgreSQL, restic
and the lab's server are not.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.prosecours.backup.plugins.plugin_utils import binaries
from dateutil.rrule import rrulestr
from integration.awx.job import Controller, Ended
from integration.awx.stand_in import TOKEN, Awx, Object, is_playbook, running
from support import inventory, postgres
from support.addresses import address
from support.playbook import CHECKOUT, Played

from windows_lab.cli import main as lab_cli

pytestmark = pytest.mark.lab

DATA = CHECKOUT / "awx"
PAGE = (CHECKOUT / "docs" / "awx.md").read_text("utf-8")
MODULES = binaries.default_cache() / "awx-24.6.1" / "ansible_collections"
"""awx.awx, as tools/setup keeps it."""
PARIS = ZoneInfo("Europe/Paris")
VAULT = "mot de passe du coffre"
PASSWORD = r"mot:de\passe"
"""Of the database's login: both characters mean something in a password file of libpq."""
CLIENT, SERVER = "ferme_du_val", "val-srv"
ENCRYPTION = "encryption-of-val-srv"


# -- the data and the modules of awx.awx ----------------------------------------------------------------


class Modules:
    """A copy of awx.awx, whose modules run where Ansible's actions do, and an AWX that they ask."""

    def __init__(self, folder: Path, awx: Awx) -> None:
        self.awx, self.folder = awx, folder
        shutil.copytree(MODULES, folder / "ansible_collections")
        actions = folder / "ansible_collections/awx/awx/plugins/action"
        actions.mkdir()
        for name in re.findall(r"awx\.awx\.(\w+):\n", (DATA / "configure.yml").read_text("utf-8")):
            shutil.copy(Path(__file__).with_name("in_process.py"), actions / f"{name}.py")

    def play(self, playbook: Path, *arguments: str) -> Played:
        done = subprocess.run(
            ["ansible-playbook", str(playbook), *arguments],
            cwd=DATA,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(DATA / "ansible.cfg"),
                "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
                "CONTROLLER_HOST": self.awx.url,
                "CONTROLLER_OAUTH_TOKEN": TOKEN,
                "SSL_CERT_FILE": os.devnull,  # the authorities of the machine are read for each request, else
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Played(done.returncode, done.stdout, done.stderr)


OURS = {
    "prosecours_awx_journal": "postgresql://awx@192.0.2.1/prosecours",
    "prosecours_awx_secrets": {"Pro Secours vault": {"vault_password": VAULT}},
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own, which is closed to the user that restic runs as."""
    with tempfile.TemporaryDirectory(prefix="awx-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
def modules(folder: Path) -> Iterator[Modules]:
    project = DATA / "project"
    found = {path.relative_to(project).as_posix() for path in project.rglob("*.yml") if is_playbook(path)}
    with running(Awx(found)) as awx:
        yield Modules(folder / "modules", awx)


@pytest.fixture(scope="module")
def configured(modules: Modules, folder: Path) -> Awx:
    ours = {**OURS, "prosecours_awx_folder": str(folder / "shared")}
    done = modules.play(DATA / "configure.yml", "-e", json.dumps(ours))
    assert done.code == 0, done.output
    assert done.stderr == ""
    assert VAULT not in done.output
    return modules.awx


def test_the_modules_take_every_entry_and_a_second_run_changes_nothing(
    configured: Awx, modules: Modules
) -> None:
    asked = configured.changes
    vault = configured.named("credentials")["Pro Secours vault"]
    assert vault["inputs"] == {"vault_password": VAULT}
    ours = {
        **OURS,
        "prosecours_awx_folder": str(modules.folder.parent / "shared"),
        "prosecours_awx_secrets": {},
    }
    again = modules.play(DATA / "configure.yml", "-e", json.dumps(ours))
    assert (again.code, again.recap["changed"], configured.changes) == (0, 0, asked), again.output


WRONG: dict[str, tuple[str, Object, str]] = {
    "option": (
        "job_template",
        {"name": "x", "playbok": "playbooks/check.yml"},
        "playbok. Supported parameters",
    ),
    "type": ("job_template", {"name": "x", "forks": "many"}, "unable to convert to int"),
    "choice": ("inventory_source", {"name": "x", "inventory": "y", "source": "file"}, "must be one of: scm"),
    "name": ("job_template", {"name": "x", "project": "Pro Secour"}, "returned 0 items, expected 1"),
    "playbook": ("job_template", {"name": "x", "playbook": "playbooks/server.yml"}, "Playbook not found"),
    "rule": (
        "schedule",
        {
            "name": "x",
            "unified_job_template": "Pro Secours check",
            "rrule": "DTSTART:20260105T083000Z RRULE:FREQ=DAILY",
        },
        "INTERVAL required",
    ),
    "field": (
        "credential_type",
        {
            "name": "x",
            "kind": "cloud",
            "inputs": {"fields": [{"id": "password", "type": "string"}]},
            "injectors": {"env": {"X": "{% raw %}{{ pasword }}{% endraw %}"}},
        },
        "uses an undefined field",
    ),
}


def test_an_entry_that_is_wrong_is_refused(configured: Awx, modules: Modules, tmp_path: Path) -> None:
    """Were it not, the test before this one would show nothing."""
    tasks = [
        {"name": name, f"awx.awx.{module}": entry, "ignore_errors": True}
        for name, (module, entry, _said) in WRONG.items()
    ]
    play = tmp_path / "wrong.yml"
    play.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), "utf-8")
    asked = configured.changes
    done = modules.play(play)
    assert done.recap["ignored"] == len(WRONG), done.output
    told = dict(zip(WRONG, done.output.split("TASK [")[1:], strict=True))
    assert {name: said for name, (*_unused, said) in WRONG.items() if said not in told[name]} == {}, told
    assert configured.changes - asked == 3, "what the modules cannot know is AWX's to refuse"


def test_a_playbook_has_a_template_or_a_reason(configured: Awx) -> None:
    playbooks = {path.stem for path in (CHECKOUT / "playbooks").glob("*.yml")}
    without = set(
        re.findall(r"^\| `playbooks/(\w+)\.yml` \|", PAGE.split("## Not from AWX")[1], re.MULTILINE)
    )
    templates = {Path(one["playbook"]).stem for one in configured.objects["job_templates"]}
    assert (templates | without, templates & without) == (playbooks, set())
    for name in templates:
        [play] = yaml.safe_load((DATA / "project" / "playbooks" / f"{name}.yml").read_text("utf-8"))
        assert play["import_playbook"] == f"prosecours.backup.{name}"


def test_nobody_says_at_the_launch_who_works(configured: Awx) -> None:
    """Nor sets any variable that is not asked."""
    for one in configured.objects["job_templates"]:
        assert one["ask_variables_on_launch"] is False
        asked = {question["variable"] for question in configured.surveys.get(one["id"], {}).get("spec", [])}
        assert not {name for name in asked if name.startswith(("awx_", "tower_", "ansible_"))}
        assert not asked & json.loads(one["extra_vars"]).keys(), one["name"]


def test_secrets_come_by_the_environment_to_where_the_inventory_looks(configured: Awx) -> None:
    injected = set()
    for one in configured.objects["credential_types"]:
        assert not one["injectors"].get("extra_vars")
        injected |= one["injectors"].get("env", {}).keys()
    example = "".join(path.read_text("utf-8") for path in (CHECKOUT / "inventories/example").rglob("*.yml"))
    looked_up = set(re.findall(r"lookup\('ansible.builtin.env', '(\w+)'\)", example)) - {"PROSECOURS_SECRETS"}
    settings = {"PROSECOURS_JOURNAL", "PROSECOURS_CACHE", "PGPASSFILE", "PGSSLROOTCERT"}
    assert injected == looked_up | settings


# -- schedules ------------------------------------------------------------------------------------------


def _of_a_year(configured: Awx, schedule: str) -> list[datetime]:
    """When AWX starts it in 2027, by the clock of Paris."""
    rule = configured.named("schedules")[schedule]["rrule"].replace(" ", "\n")
    first = datetime(2027, 1, 1, tzinfo=PARIS)
    found = rrulestr(rule, tzids=ZoneInfo).between(first, first.replace(year=2028))
    return [one.astimezone(PARIS) for one in found]


def test_monitoring_looks_in_each_office_hour_and_in_no_other(configured: Awx) -> None:
    """C9: 08:30 to 18:00, Monday to Friday, whatever the clock change."""
    starts = _of_a_year(configured, "Pro Secours monitoring, each office hour")
    days = [date(2027, 1, 1) + timedelta(number) for number in range(365)]
    hours = [f"{hour:02}:30" for hour in range(8, 18)]
    due = [f"{day} {hour}" for day in days if day.weekday() < 5 for hour in hours]
    assert [f"{start:%Y-%m-%d %H:%M}" for start in starts] == due


def test_retention_is_kept_every_night_and_reports_go_once_a_month(configured: Awx) -> None:
    nights = _of_a_year(configured, "Pro Secours retention, nightly")
    assert (len(nights), {f"{one:%H:%M}" for one in nights}) == (365, {"06:30"})
    reports = _of_a_year(configured, "Pro Secours reports to clients, monthly")
    assert [one.month for one in reports] == list(range(1, 13))
    for one in reports:  # a round of monitoring of this month was before it
        earlier = [start for start in _weekdays(one) if start < one]
        assert (one.weekday() < 5, len(earlier)) == (True, 2), one


def _weekdays(of: datetime) -> list[datetime]:
    """The half past eights of its month, Monday to Friday."""
    days = [of.replace(day=day, hour=8, minute=30) for day in range(1, 29)]
    return [day for day in days if day.weekday() < 5]


# -- jobs -----------------------------------------------------------------------------------------------


@dataclass
class Plant:
    """The AWX with its project, a lab with the one server of a client, its repository host, a database."""

    controller: Controller
    database: postgres.Database
    shared: Path
    """What jobs share and what stays."""
    synced: Object
    """The inventory, as AWX has it after a sync."""
    first: dict[str, Ended] = field(default_factory=dict)
    """Jobs that all others stand on, by their templates."""

    def launch(self, template: str, answers: Mapping[str, Any] | None = None, **more: Any) -> Ended:
        """The journal is in the database, as the data have it, or in a file, which costs less."""
        where = (
            self.database.address("awx") if template in IN_DATABASE else str(self.shared / "journal.jsonl")
        )
        self.controller.secrets["Pro Secours journal"]["address"] = where
        return self.controller.launch(f"Pro Secours {template}", answers, **{"synced": self.synced, **more})

    def began(self, template: str) -> Object:
        """What the journal has at the beginning of the last job of this template, or of one like it."""
        file = self.shared / "journal.jsonl"
        lines = self.database.lines() if template in IN_DATABASE else file.read_bytes().splitlines()
        entries: list[Object] = [json.loads(line) for line in lines]
        return [entry for entry in entries if entry["kind"] == "begin"][-1]


def _write_project(project: Path, folder: Path, host: str) -> None:
    """The provider's repository: the collection's part, and the inventory."""
    shutil.copytree(DATA / "project", project)
    production = project / "inventories" / "production"
    server = {
        "prosecours_root": "D:\\",
        "prosecours_software": ["isapawp"],
        "ansible_host": host,
        "prosecours_encryption_password": "SEALED",
    }
    client = inventory.client(
        CLIENT,
        f"rest:https://{host}:8443/",
        {SERVER: server},
        prosecours_options=["import"],
        prosecours_repository_ca=inventory.read_when_asked(folder / "lab" / "ca.pem"),
    )
    path = inventory.write(production / "clients" / f"{CLIENT}.yml", client)
    sealed = VaultLib([("default", VaultSecret(VAULT.encode()))]).encrypt(ENCRYPTION.encode()).decode()
    indented = "\n".join(f"            {line}" for line in sealed.splitlines())
    path.write_text(path.read_text("utf-8").replace("SEALED", f"!vault |\n{indented}"), "utf-8")
    reached = {
        **inventory.OVER_WINRM,
        "ansible_winrm_ca_trust_path": str(folder / "lab" / "ca.pem"),
        "ansible_password": "{{ lookup('ansible.builtin.env', 'PROSECOURS_WINDOWS_PASSWORD') }}",
    }
    del reached["prosecours_reason"]
    inventory.write(production / "all_clients.yml", {"prosecours_clients": {"vars": reached}})
    keeper = inventory.repository_host(folder, prosecours_repository_data=str(folder / "lab" / "data"))
    inventory.write(production / "repositories.yml", keeper)


def _write_requests(project: Path) -> None:
    """What the client's contact asked for, once there is a version."""
    asked = {
        "client": CLIENT,
        "requester": "jeanne.martin@ferme.example.com",
        "mail_date": date.today().isoformat(),
        "server": SERVER,
    }
    version = {"main_backup_failed": True, "date": f"{datetime.now(PARIS):%Y-%m-%d}"}
    disk = {"disk": {"serial": "1A2B-3C4D", "label": "AMORCE"}}
    inventory.write(project / "requests" / "restore.yml", {**asked, **version, "items": [r"D:\isapawp"]})
    inventory.write(project / "requests" / "seed.yml", {**asked, **disk})
    inventory.write(project / "requests" / "export.yml", {**asked, **version, **disk})


@pytest.fixture(scope="module")
def plant(configured: Awx, folder: Path) -> Iterator[Plant]:
    host = address()
    _write_project(folder / "project", folder, host)
    files = {r"D:\isapawp\facture de mars.txt": "bytes"}
    machine = {
        "ansible_host": host,
        "prosecours_encryption_password": ENCRYPTION,
        "lab_files": files,
    }
    lab = inventory.client(CLIENT, f"rest:https://{host}:8443/", {SERVER: machine}, **inventory.OVER_WINRM)
    inventory.write(folder / "plain" / "lab.yml", lab)
    with pytest.MonkeyPatch.context() as environment, postgres.running() as server:
        for name in ("ANSIBLE_CONFIG", "ANSIBLE_STDOUT_CALLBACK", "PROSECOURS_JOURNAL"):
            environment.delenv(name)
        server.ask("postgres", f"CREATE ROLE awx LOGIN PASSWORD '{PASSWORD}'")
        database = server.database()
        database.ask("GRANT prosecours_writer TO awx")
        secrets = {
            "Pro Secours Windows servers": {"password": inventory.PASSWORD},
            "Pro Secours journal": {
                "address": database.address("awx"),
                "password": PASSWORD,
                "authority": server.authority.certificate_path.read_text("utf-8"),
                "folder": str(binaries.default_cache()),
            },
        }
        controller = Controller(configured, folder, folder / "project", secrets)
        try:
            state = ["--state", str(folder / "lab")]
            assert lab_cli(["up", *state, "--inventory", str(folder / "plain")]) == 0
            (folder / "shared").mkdir()
            made = Plant(controller, database, folder / "shared", controller.sync())
            for template, (answers, more) in FIRST.items():
                made.first[template] = made.launch(template, answers, **more)
            _write_requests(controller.project)
            yield made
        finally:
            lab_cli(["down", "--state", str(folder / "lab")])


IN_DATABASE = ("deploy", "monitor")
NOW = {"prosecours_reason": "a test at any hour"}
FIRST: dict[str, tuple[Object, Object]] = {
    "deploy": (
        {
            "prosecours_instruction": "e-mail of Mme Martin",
            "prosecours_agent_first_backup": "night",
            **NOW,
        },
        {"limit": CLIENT},
    ),
    "backup": ({}, {"limit": CLIENT}),
    "retention": ({"prosecours_retention_client": CLIENT}, {}),
}
"""Template -> answers, and what else is said at the launch."""


class Case(NamedTuple):
    """A launch: its answers, what else is said at it, and what its output says. One that fails is refused by
    a sentence about its answers."""

    template: str
    answers: Object
    says: str
    more: Object
    status: str = "successful"


CHECK = {"job_type": "check"}
CASES = [
    Case("check", {}, "Check the contracts of all clients", {"user": "{{ undefined_by_anybody }}"}),
    Case("preflight", {}, "First backup done", {"limit": CLIENT}),
    Case("status", {}, "val-srv", {}),
    Case("monitor", {}, "OK ferme_du_val", {"schedule": "Pro Secours monitoring, each office hour"}),
    Case(
        "find",
        {"prosecours_find_client": CLIENT, "prosecours_find_name": "mars"},
        r"D:\isapawp\facture de mars.txt",
        {},
    ),
    Case(
        "restore",
        {"prosecours_restore_request": "requests/restore.yml", "prosecours_restore_unjudged": "true", **NOW},
        "skipping: [val-srv] TASK [prosecours.backup.restore : Restore what was asked for]",
        CHECK,
    ),
    Case(
        "seed",
        {"prosecours_seed_request": "requests/seed.yml", "prosecours_seed_step": "finish", **NOW},
        "the disk 1A2B-3C4D has not been prepared yet",
        CHECK,
        "failed",
    ),
    Case(
        "export",
        {"prosecours_export_request": "requests/export.yml", **NOW},
        "ferme_du_val has not subscribed to the export",
        CHECK,
        "failed",
    ),
    Case("repository", {}, "user ps-ferme_du_val", CHECK),
    Case("client report", {"prosecours_report_month": "octobre"}, "octobre", {}, "failed"),
    Case("documents", {"prosecours_documents_client": "autre"}, 'no client "autre"', {}, "failed"),
    Case("form", {}, "shared/documents/annexe-a-remplir.html", {"user": ""}),
    Case(
        "journal",
        {"prosecours_journal_client": CLIENT, "prosecours_journal_since": "2026-01-01"},
        "durand",
        {},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.template)
def test_a_template_s_playbook_runs(plant: Plant, case: Case) -> None:
    ended = plant.launch(case.template, case.answers, **case.more)
    assert (ended.status, case.says in ended.text) == (case.status, True), ended.text
    if case.template == "monitor":
        assert len(plant.database.lines("monitoring_memory")) == 1, "a container's own would vanish"
    if case.template != "journal":  # to read it is no intervention
        who = case.more.get("schedule") or case.more.get("user", "durand") or "AWX"
        began = plant.began(case.template)
        assert (began["technician"], began["reason"]) == (who, case.answers.get("prosecours_reason", ""))


def test_every_template_of_one_playbook_or_another_is_run(configured: Awx) -> None:
    """`release` and `reject` are retention with other answers."""
    run = {f"Pro Secours {name}" for name in (*FIRST, *(case.template for case in CASES))}
    templates = configured.named("job_templates")
    assert {name for name in templates if name not in run} == {"Pro Secours release", "Pro Secours reject"}
    assert {templates[f"Pro Secours {name}"]["playbook"] for name in ("release", "reject", "retention")} == {
        "playbooks/retention.yml"
    }


def test_an_answer_is_a_variable_that_a_role_documents(configured: Awx) -> None:
    """With its choices, as the role has them."""
    documented: dict[str, Object] = {}
    for path in (CHECKOUT / "roles").glob("*/meta/argument_specs.yml"):
        for point in yaml.safe_load(path.read_text("utf-8"))["argument_specs"].values():
            documented |= point.get("options") or {}
    for survey in configured.surveys.values():
        for question in survey["spec"]:
            option = documented[question["variable"]]
            if question["type"] == "multiplechoice":
                of_bool = ["false", "true"] if option["type"] == "bool" else None
                assert question["choices"] == (of_bool or option["choices"]), question["variable"]
            assert question["type"] != "integer" or option["type"] == "int"


def test_the_first_deploy_is_journalled_in_the_database_by_who_launched_it(plant: Plant) -> None:
    """And what was reached by the vault, the environment and a password file is on no command line."""
    deployed, backed_up = plant.first["deploy"], plant.first["backup"]
    assert (deployed.status, backed_up.status) == ("successful", "successful"), deployed.text + backed_up.text
    assert "1 files" in backed_up.text
    assert plant.first["retention"].status == "successful", plant.first["retention"].text
    first = json.loads(plant.database.lines()[0])
    assert {name: first[name] for name in ("kind", "technician", "instruction", "reason", "clients")} == {
        "kind": "begin",
        "technician": "durand",
        "instruction": "e-mail of Mme Martin",
        "reason": "a test at any hour",
        "clients": {CLIENT: [SERVER]},
    }
    assert plant.database.writers("journal") == {"awx"}
    for secret in (VAULT, PASSWORD, inventory.PASSWORD, ENCRYPTION):
        assert secret not in " ".join(deployed.command)
        assert secret not in deployed.printed


def test_a_slice_is_refused_and_an_error_is_told_with_its_line(plant: Plant) -> None:
    """Though AWX hands over its own form of the inventory. The third slice has the last of three hosts."""
    clients = plant.controller.project / "inventories" / "production" / "clients"
    synced = json.loads(json.dumps(plant.synced))
    synced["prosecours_clients"]["children"].append("autre")
    synced["autre"] = {"hosts": ["autre-srv"]}
    synced[CLIENT]["vars"]["prosecours_subscribed_gb"] = "dix"
    other = inventory.write(clients / "autre.yml", inventory.client("autre", "rest:https://192.0.2.9:8443/"))
    try:
        refused = plant.launch("check", synced=synced, part=(3, 3))
    finally:
        other.unlink()
    assert refused.status == "failed"
    assert "autre-srv The inventory that Ansible was given lacks this server." in refused.text
    assert "do not slice this job (docs/awx.md)" in refused.text
    lines = (clients / f"{CLIENT}.yml").read_text("utf-8").splitlines()
    [line] = [number for number, text in enumerate(lines, 1) if "prosecours_subscribed_gb" in text]
    place = f"clients/{CLIENT}.yml line {line} · {CLIENT} · prosecours_subscribed_gb"
    assert place in refused.text


def test_a_file_that_cannot_be_read_fails_the_sync(plant: Plant) -> None:
    """Else its servers would leave the inventory, and nobody would look at them."""
    broken = plant.controller.project / "inventories" / "production" / "clients" / "autre.yml"
    broken.write_text("prosecours_clients:\n  children: [\n", "utf-8")
    try:
        with pytest.raises(subprocess.CalledProcessError):
            plant.controller.sync()
    finally:
        broken.unlink()
