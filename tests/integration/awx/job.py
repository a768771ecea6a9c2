"""What AWX makes of its objects when a job is launched: the folder that ansible-runner gets, file by file.

As AWX 24.6.1 does it (awx/main/tasks/jobs.py, models/inventory.py, models/credential): answers are marked so
that nothing computes them, secrets come from injectors, the inventory is a script of what was synced.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import ansible_runner
import yaml
from integration.awx.stand_in import Awx, Object
from jinja2 import sandbox
from support.playbook import CHECKOUT


@dataclass(frozen=True)
class Ended:
    """A job that is over."""

    status: str
    """AWX's: successful or failed."""
    text: str
    """All that it printed, on one line."""
    command: list[str]
    """The words of ansible-playbook."""
    printed: str
    """The same, and all that its tasks returned."""


@dataclass
class Controller:
    """An AWX after awx/configure.yml, with its project checked out and its credentials filled in."""

    awx: Awx
    folder: Path
    project: Path
    secrets: Mapping[str, dict[str, str]]
    """Of a credential by its name, what a person filled in."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    # -- the inventory ----------------------------------------------------------------------------------

    def sync(self) -> Object:
        """What AWX reads of its inventory source, without the vault's password. Raises CalledProcessError."""
        [source] = self.awx.objects["inventory_sources"]
        listed = subprocess.run(
            ["ansible-inventory", "--list", "--export", "-i", source["source_path"]],
            cwd=self.project,
            env=self._environment(json.loads(source["source_vars"])),
            capture_output=True,
            text=True,
            check=True,
        )
        found: Object = json.loads(listed.stdout)
        return found

    def _script(self, synced: Object, part: tuple[int, int]) -> str:
        """The inventory of a job: of slice `part[0]` of `part[1]` it has the hosts of that slice only."""
        number, slices = part
        variables = synced["_meta"]["hostvars"]
        every = sorted({host for group in synced.values() for host in group.get("hosts", [])})
        hosts = every[number - 1 :: slices]
        groups = {name: group for name, group in synced.items() if name not in ("_meta", "all")}
        data = {
            name: {**group, "hosts": [host for host in group.get("hosts", []) if host in hosts]}
            for name, group in groups.items()
        }
        data["all"] = {"children": list(groups), "vars": synced["all"].get("vars", {})}
        marks = {"remote_tower_enabled": "true", "remote_tower_id": 1}
        data["_meta"] = {"hostvars": {host: {**variables.get(host, {}), **marks} for host in hosts}}
        return f"#! /usr/bin/env python3\n# -*- coding: utf-8 -*-\nprint({json.dumps(data)!r})\n"

    # -- a job ------------------------------------------------------------------------------------------

    def launch(
        self,
        template: str,
        answers: Mapping[str, Any] | None = None,
        *,
        user: str = "durand",
        schedule: str = "",
        limit: str = "",
        job_type: str = "",
        part: tuple[int, int] = (1, 1),
        synced: Object | None = None,
    ) -> Ended:
        """By a user, by a schedule, or by neither."""
        made = self.awx.named("job_templates")[template]
        assert not limit or made["ask_limit_on_launch"], template
        assert not job_type or made["ask_job_type_on_launch"], template
        ident = next(self._numbers)
        folder = self.folder / f"job-{ident}"
        for name in ("inventory", "env"):
            (folder / name).mkdir(parents=True)
        (folder / "project").symlink_to(self.project)
        who = {"awx_schedule_name": schedule} if schedule else {"awx_user_name": user} if user else {}
        meta = {"awx_job_id": ident, "awx_job_template_name": template, **who}
        own = json.loads(made["extra_vars"])
        given = self._answered(made, answers or {})
        self._write(folder / "env" / "extravars", _marked({**own, **given, **meta}, own))
        hosts = folder / "inventory" / "hosts"
        self._write(hosts, self._script(synced or self.sync(), part), mode=0o700)
        environment, passwords, words = self._injected(made, folder / "env")
        words += ["--check"] if (job_type or made["job_type"]) == "check" else []
        words += ["--diff"] if made.get("diff_mode") else []
        words += ["-l", limit] if limit else []
        run = ansible_runner.run(
            private_data_dir=str(folder),
            ident=str(ident),
            playbook=made["playbook"],
            inventory=str(hosts),
            envvars=self._environment(environment),
            passwords=passwords,
            cmdline=" ".join(words),
            suppress_env_files=True,
            quiet=True,
            settings={"suppress_ansible_output": True},
        )
        printed = run.stdout.read()
        told = json.loads((Path(run.config.artifact_dir) / "command").read_text("utf-8"))
        events = "".join(json.dumps(event, ensure_ascii=False) for event in run.events)
        text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", printed).split())
        return Ended(run.status, text, told["command"], printed + events)

    def _answered(self, made: Object, answers: Mapping[str, Any]) -> Object:
        """The survey's variables: what was answered, else the defaults. Nothing else is taken."""
        questions = self.awx.surveys.get(made["id"], {}).get("spec", [])
        asked = {question["variable"]: question for question in questions}
        assert answers.keys() <= asked.keys(), f"{made['name']} does not ask this"
        for variable, answer in answers.items():
            assert "choices" not in asked[variable] or answer in asked[variable]["choices"]
        given = {name: answers.get(name, question.get("default")) for name, question in asked.items()}
        assert None not in given.values(), f"{made['name']}: not answered: {given}"
        return given

    def _injected(self, made: Object, folder: Path) -> tuple[dict[str, str], dict[str, str], list[str]]:
        """What the job's credentials give it: environment, answers to Ansible's prompts, words."""
        environment: dict[str, str] = {}
        passwords: dict[str, str] = {}
        words = ["-u", "root"]
        types = {one["id"]: one for one in self.awx.objects["credential_types"]}
        computed = sandbox.ImmutableSandboxedEnvironment()
        for one in self.awx.objects["credentials"]:
            if one["id"] not in self.awx.credentials.get(made["id"], []):
                continue
            kind = types[one["credential_type"]]
            inputs = {**one.get("inputs", {}), **self.secrets.get(one["name"], {})}
            if kind["name"] == "Vault":
                passwords[r"Vault password:\s*?$"] = inputs["vault_password"]
                words.append("--ask-vault-pass")
            names: dict[str, str] = {}
            values: Object = {**inputs, "tower": {"filename": names}}
            for label, template in kind["injectors"].get("file", {}).items():
                path = folder / f"{one['id']}-{label}"
                self._write(path, computed.from_string(template).render(**values))
                names[label.partition(".")[2]] = str(path)
            for name, template in kind["injectors"].get("env", {}).items():
                environment[name] = computed.from_string(template).render(**values)
        return environment, passwords, words

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """AWX's. The image has the collection where Ansible looks for it; here it is this checkout."""
        return {
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "build" / "collections"),
            "ANSIBLE_RETRY_FILES_ENABLED": "False",
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            **own,
        }

    @staticmethod
    def _write(path: Path, text: str, mode: int = 0o600) -> None:
        path.write_text(text, "utf-8")
        path.chmod(mode)


class _Unsafe(str):
    """A text that Ansible must not compute."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def _marked(variables: Object, own: Object) -> str:
    """As a file of variables: whatever is not the template's own is marked, down to the last text."""

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: marked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [marked(item) for item in value]
        return _Unsafe(value) if isinstance(value, str) else value

    safe = {name: value if own.get(name) == value else marked(value) for name, value in variables.items()}
    return yaml.dump(safe, Dumper=_Dumper, allow_unicode=True)
