"""What holds for the collection as a whole, however it grows."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.fleet import Settings
from ansible_collections.prosecours.backup.plugins.plugin_utils import ansible_adapter, options

from tools import options as role_options

CHECKOUT = Path(__file__).resolve().parents[3]
ACTIONS = sorted(path.stem for path in (CHECKOUT / "plugins" / "action").glob("[!_]*.py"))
CORE = sorted((CHECKOUT / "plugins").glob("*_utils/**/*.py"))
ROLES = sorted(path.parent.parent.name for path in (CHECKOUT / "roles").glob("*/tasks/main.yml"))

# Which file of the core may import what besides the standard library and the core itself.
FOREIGN = {
    "plugin_utils/ansible_adapter.py": {"ansible"},
    "plugin_utils/clients/client_file.py": {"yaml"},
    "plugin_utils/contract/files.py": {"yaml"},
    "plugin_utils/contract/variables.py": {"email_validator", "jsonschema", "phonenumbers"},
    "plugin_utils/documents/letters.py": {"yaml"},
    "plugin_utils/documents/mail.py": {"email_validator"},
    "plugin_utils/documents/render.py": {"jinja2", "weasyprint"},
    "plugin_utils/journal/elsewhere.py": {"cryptography", "requests", "rfc3161_client"},
    "plugin_utils/journal/database.py": {"psycopg", "sqlalchemy"},
    "plugin_utils/monitoring/channels.py": {"apprise"},
    "plugin_utils/monitoring/metrics.py": {"prometheus_client"},
    "plugin_utils/monitoring/watchdog.py": {"requests"},
    "plugin_utils/office_hours.py": {"holidays"},
    "plugin_utils/validation/lines.py": {"yaml"},
    "plugin_utils/validation/schema.py": {"jsonschema"},
    "plugin_utils/windows/winrm.py": {"winrm", "requests"},
    "plugin_utils/wording.py": {"babel"},
    "module_utils/maintenance/bucket.py": {"boto3", "botocore"},
    "module_utils/maintenance/sealed.py": {"cryptography", "zstandard"},
}


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8")) if path.exists() else None


def _sources() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    ).stdout
    return [path for name in listed.decode().split("\0") if name and (path := CHECKOUT / name).is_file()]


def _imports(path: Path) -> Iterator[str]:
    """The first part of every absolute import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).split(".")[0]


# -- roles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_agree(role: str) -> None:
    folder = CHECKOUT / "roles" / role
    defaults = _load(folder / "defaults" / "main.yml") or {}
    points = _load(folder / "meta" / "argument_specs.yml")["argument_specs"]
    assert "main" in points
    described = set()
    for point, specification in points.items():
        assert specification["short_description"], point
        for name, option in (specification.get("options") or {}).items():
            described.add(name)
            assert option.get("description"), f"{point}: {name} has no description"
            assert option.get("type"), f"{point}: {name} has no type"
            assert ("default" in option) == (name in defaults), (
                f"{point}: {name} has its default in one place only"
            )
            assert option.get("default") == defaults.get(name), f"{point}: {name} has two defaults"
            assert not (option.get("required") and name in defaults), (
                f"{point}: {name} is required and has a default"
            )
    assert set(defaults) == described & set(defaults), "defaults that no entry point describes"


def test_roles_say_of_an_option_what_its_action_says() -> None:
    """Whoever changes an option in a page and forgets the roles is told here."""
    stale = [
        path.relative_to(CHECKOUT).as_posix()
        for path, text in role_options.wanted().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == [], "make options"


def test_a_secret_of_a_role_is_marked() -> None:
    """Ansible hides the arguments of a role only where they say so."""
    named = re.compile(r"password|secret|watchdog|channels")
    unmarked = [
        f"{role}: {name}"
        for role in ROLES
        for point in _load(CHECKOUT / "roles" / role / "meta" / "argument_specs.yml")[
            "argument_specs"
        ].values()
        for name, option in _flat(point.get("options") or {})
        if named.search(name) and not option.get("no_log")
    ]
    assert unmarked == []


def test_the_program_on_a_host_has_the_documented_defaults() -> None:
    """Of the settings that only retention needs; status, which shares the others, leaves them out."""
    page = options.documented("retention")
    for field in fields(Settings):
        default = page[field.name].get("default", "")
        if field.default is not MISSING:
            assert field.default == (tuple(default) if isinstance(default, list) else default), field.name


def test_documents_tell_the_defaults_of_the_roles() -> None:
    """`prosecours_drill_files` (20), in a sentence or a table."""
    defaults = {
        name: value
        for role in ROLES
        for name, value in (_load(CHECKOUT / "roles" / role / "defaults" / "main.yml") or {}).items()
    }
    told = [
        (path.name, name, value)
        for path in (CHECKOUT / "docs").rglob("*.md")
        for name, value in re.findall(r"`(prosecours_\w+)` \(([\w.%]+)\)", path.read_text("utf-8"))
        if name in defaults
    ]
    assert len(told) >= 3
    assert [one for one in told if str(defaults[one[1]]) != one[2]] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_has_tasks(role: str) -> None:
    """An entry point without a task file cannot be called, whatever its arguments."""
    points = _load(CHECKOUT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    for point in points:
        assert (CHECKOUT / "roles" / role / "tasks" / f"{point}.yml").exists(), f"no tasks for {point}"


# -- actions --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def documentation() -> dict[str, Any]:
    names = [f"prosecours.backup.{action}" for action in ACTIONS]
    shown = subprocess.run(
        ["ansible-doc", "--json", *names], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    result: dict[str, Any] = json.loads(shown.stdout)
    return result


def test_there_are_actions() -> None:
    assert "binary" in ACTIONS


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_takes_what_its_page_says(action: str, documentation: dict[str, Any]) -> None:
    """The page as Ansible's own reader has it: fragments merged, values of their types."""
    page = documentation[f"prosecours.backup.{action}"]
    assert page["examples"].strip()
    assert page["return"]
    assert set(page["doc"]["attributes"]) >= {"check_mode", "diff_mode"}
    module = importlib.import_module(f"ansible_collections.prosecours.backup.plugins.action.{action}")
    _same(dict(page["doc"].get("options") or {}), module.ActionModule.specification, action)


def _same(documented: dict[str, Any], taken: Any, where: str) -> None:
    assert set(documented) == set(taken), where
    for name, option in taken.items():
        page = documented[name]
        for key in ("type", "elements", "default", "choices"):
            assert page.get(key) == option.get(key), f"{where}.{name}: {key}"
        assert bool(page.get("required")) == bool(option.get("required")), f"{where}.{name}: required"
        _same(page.get("suboptions") or {}, option.get("options") or {}, f"{where}.{name}")
        assert set(option) <= {"type", "elements", "default", "choices", "required", "options", "no_log"}


def test_secrets_are_told_to_ansible() -> None:
    """By their names; the list is of those who give a secret to an action, not of the rule."""
    found = {
        f"{action}.{name}"
        for action in ACTIONS
        for name, option in _flat(options.specification(options.documented(action)))
        if option.get("no_log")
    }
    assert found == {
        *("agent.repository.password", "agent.repository.encryption_password"),
        *("monitor.repository.password", "monitor.repository.encryption_password"),
        *("restore.repository.password", "restore.repository.encryption_password"),
        *("find.repository.password", "find.repository.encryption_password"),
        *("preflight.repository.password", "findings.mail.password", "client_report.mail.password"),
        *("findings.channels", "findings.watchdog", "documents.mail.password"),
    }


def _flat(specification: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, option in specification.items():
        yield before + name, option
        yield from _flat(option.get("options", {}), f"{before}{name}.")


@pytest.mark.parametrize(
    ("kind", "plugin", "option", "variable"),
    [
        ("callback", "journal", "journal", "PROSECOURS_JOURNAL"),
        ("callback", "lines", "display_failed_stderr", "ANSIBLE_DISPLAY_FAILED_STDERR"),
        ("inventory", "clients", "yaml_extensions", "ANSIBLE_YAML_FILENAME_EXT"),
    ],
)
def test_a_plugin_that_is_no_action_has_its_page(kind: str, plugin: str, option: str, variable: str) -> None:
    """Its settings are Ansible's own: documentation is where Ansible reads them."""
    name = f"prosecours.backup.{plugin}"
    shown = subprocess.run(
        ["ansible-doc", "--json", "-t", kind, name],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    options = json.loads(shown.stdout)[name]["doc"]["options"]
    assert options[option]["env"][0]["name"] == variable


def test_every_module_page_has_its_action() -> None:
    pages = {
        path.stem for path in (CHECKOUT / "plugins" / "modules").iterdir() if path.suffix in (".py", ".yml")
    }
    assert pages == set(ACTIONS)


@pytest.mark.parametrize(
    "playbook", sorted((CHECKOUT / "playbooks").glob("*.yml")), ids=lambda path: path.stem
)
def test_playbooks_call_roles_and_actions_by_their_full_name(playbook: Path) -> None:
    for play in _load(playbook):
        for role in play.get("roles", []):
            name = role if isinstance(role, str) else role.get("role", role.get("name"))
            assert name.removeprefix("prosecours.backup.") in ROLES, name


def test_ansible_has_its_tags_where_they_are_looked_for() -> None:
    sentence = "ansible-core has moved Origin: plugin_utils/ansible_adapter.py, Tag, has to follow"
    assert ansible_adapter.Tag is not None, sentence


# -- the core -------------------------------------------------------------------------------------------


def test_the_core_stands_alone() -> None:
    foreign = {
        path.relative_to(CHECKOUT / "plugins").as_posix(): names
        for path in CORE
        if (names := {name for name in _imports(path) if name not in sys.stdlib_module_names})
    }
    assert foreign == FOREIGN


# -- texts ----------------------------------------------------------------------------------------------


def test_nothing_names_the_machine_it_was_written_on() -> None:
    """No home directory of somebody, no mark of unfinished work."""
    home = re.compile(r"(?<![\w.~$}>:\\-])/(?:home|root|Users)/\w")
    unfinished = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
    found = []
    for path in _sources():
        try:
            lines = path.read_text("utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if home.search(line) or unfinished.search(line):
                found.append(f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()}")
    assert found == []


def test_every_text_ends_in_a_line() -> None:
    ends = {path.name: path.read_bytes()[-1:] for path in _sources() if path.suffix in (".py", ".yml", ".md")}
    assert {name for name, end in ends.items() if end not in (b"\n", b"")} == set()


def test_one_version_everywhere() -> None:
    version = _load(CHECKOUT / "galaxy.yml")["version"]
    assert f'version = "{version}"' in (CHECKOUT / "pyproject.toml").read_text("utf-8")
    released = _load(CHECKOUT / "changelogs" / "changelog.yaml")["releases"]
    assert version not in released or f"## v{version}".replace(".", r"\.") in (
        (CHECKOUT / "CHANGELOG.md").read_text("utf-8")
    )


LOCKS = ("requirements", "requirements-dev", "tools/record/requirements")


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    text = (CHECKOUT / f"{name}.txt").read_text("utf-8")
    blocks = re.split(r"\n(?=[a-z])", re.sub(r"(?m)^\s*#.*\n", "", text))
    assert blocks
    for block in blocks:
        assert re.match(r"[a-z0-9-]+==\S+ ", block), block
        assert "--hash=sha256:" in block, block
    assert "://" not in text
    for line in (CHECKOUT / f"{name}.in").read_text("utf-8").splitlines():
        if wanted := re.match(r"[A-Za-z][\w-]*", line):
            assert f"\n{wanted[0].lower()}==" in text, f"{wanted[0]} is not in the lock: make lock"


def test_what_two_locks_pin_is_the_same() -> None:
    texts = [(CHECKOUT / f"{name}.txt").read_text("utf-8") for name in LOCKS]
    whole, _, recorder = ({*re.findall(r"(?m)^[a-z0-9-]+==[^ ]+", text)} for text in texts)
    assert recorder < whole


def test_every_action_of_a_workflow_is_pinned_by_its_commit() -> None:
    """A tag can be moved to another program."""
    workflows = [path.read_text("utf-8") for path in (CHECKOUT / ".github" / "workflows").glob("*.yml")]
    used = [line for text in workflows for line in re.findall(r"uses: *(.*)", text)]
    assert len(used) > 4
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v[\d.]+", one)] == []


def test_everything_that_is_imported_is_pinned() -> None:
    distributions = packages_distributions()
    pinned = {
        line.split("==")[0] for line in (CHECKOUT / "requirements-dev.txt").read_text("utf-8").splitlines()
    }
    sources = [path for path in _sources() if path.suffix == ".py"]
    own = {part.removesuffix(".py") for path in sources for part in path.relative_to(CHECKOUT).parts}
    imported = {name for path in sources for name in _imports(path)} - sys.stdlib_module_names - own
    imported -= {"ansible_collections"}
    names = {name: {_normal(entry) for entry in distributions.get(name, [])} for name in imported}
    assert {name for name, found in names.items() if not found & pinned} == set()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_make_help_names_every_target() -> None:
    shown = subprocess.run(["make"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (CHECKOUT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert targets
    assert re.findall(r"^  make (\S+)", shown, re.MULTILINE) == targets[1].split()


def test_the_threat_model_and_traceability_name_what_exists() -> None:
    """Each test, file and scenario that they name as the one that shows a line."""
    texts = [(CHECKOUT / "docs" / name).read_text("utf-8") for name in ("security.md", "traceability.md")]
    sources = [path for folder in ("tests", "molecule") for path in (CHECKOUT / folder).rglob("test_*.py")]
    known = {name for path in sources for name in re.findall(r"def (test_\w+)\(", path.read_text("utf-8"))}
    known |= {path.stem for path in sources}
    named = {name for text in texts for name in re.findall(r"`(test_\w+)", text)}
    assert sorted(name for name in named if not any(one.startswith(name) for one in known)) == []
    places = {place for text in texts for place in re.findall(r"`((?:molecule|tests)/[\w/.]+)", text)}
    places |= {f"tests/{place}" for place in re.findall(r"`((?:unit|lab|integration)/[\w/.]+)", texts[0])}
    assert sorted(place for place in places if not (CHECKOUT / place).exists()) == []
