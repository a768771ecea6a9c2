"""AWX's REST API as far as awx.awx asks it to configure jobs: objects by kind, and what AWX refuses.

That is as in AWX 24.6.1 (awx/api/serializers.py, awx/main/models): a name twice, an object that is named and
not there, a playbook that the project lacks, a question that is none, a rule that its schedules cannot read.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from dateutil.rrule import rrulestr
from jinja2 import meta, sandbox
from support.addresses import address

Object = dict[str, Any]
TOKEN = "jeton"
KINDS = {
    "organizations": "organization",
    "credential_types": "credential_type",
    "credentials": "credential",
    "execution_environments": "execution_environment",
    "projects": "project",
    "inventories": "inventory",
    "inventory_sources": "inventory_source",
    "job_templates": "job_template",
    "schedules": "schedule",
}
BUILT_IN = {
    "Machine": {
        "username",
        "password",
        "ssh_key_data",
        "become_method",
        "become_username",
        "become_password",
    },
    "Source Control": {"username", "password", "ssh_key_data", "ssh_key_unlock"},
    "Vault": {"vault_password", "vault_id"},
}
"""Credential types that AWX brings, and the fields of each that matter here."""
UNIQUE = {
    "credentials": ("name", "organization", "credential_type"),
    "schedules": ("name", "unified_job_template"),
}
"""By what else than its name an object is told from others of its kind."""
QUESTIONS = ("text", "textarea", "password", "multiplechoice", "multiselect", "integer", "float")


def is_playbook(path: Path) -> bool:
    """Whether AWX takes a file for a playbook (awx/main/utils/ansible.py): by a word in a line."""
    begins = re.compile(r"\s*-?\s*(hosts|include|import_playbook):")
    return any(begins.match(line) for line in path.read_text("utf-8").splitlines())


class Refused(Exception):
    """HTTP 400, with the reason."""


@dataclass
class Awx:
    """What an AWX holds, and how often it was asked to change anything."""

    playbooks: set[str]
    """Those of its project."""
    objects: dict[str, list[Object]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    surveys: dict[int, Object] = field(default_factory=dict)
    """Of a job template, by its id."""
    credentials: dict[int, list[int]] = field(default_factory=dict)
    """Of a job template, by its id."""
    changes: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        for name, fields in BUILT_IN.items():
            inputs = {"fields": [{"id": one, "type": "string"} for one in sorted(fields)]}
            self.add("credential_types", {"name": name, "inputs": inputs, "injectors": {}})
        self.changes = 0

    def named(self, kind: str) -> dict[str, Object]:
        return {one["name"]: one for one in self.objects[kind]}

    # -- requests ---------------------------------------------------------------------------------------

    def get(self, parts: list[str], query: dict[str, str]) -> Object:
        match parts:
            case ["unified_job_templates"]:
                return self._listed([*self.objects["job_templates"], *self.objects["projects"]], query)
            case [kind] if kind in KINDS:
                return self._listed(self.objects[kind], query)
            case ["job_templates", number, "survey_spec"]:
                return self.surveys.get(int(number), {})
            case ["job_templates", number, "credentials"]:
                held = self.credentials.get(int(number), [])
                return self._listed([one for one in self.objects["credentials"] if one["id"] in held], {})
            case ["project_updates", _number]:
                return {"status": "successful"}
        raise LookupError(parts)

    def post(self, parts: list[str], data: Object) -> tuple[int, Object]:
        self.changes += 1
        match parts:
            case [kind] if kind in KINDS:
                return 201, self.add(kind, data)
            case ["job_templates", number, "survey_spec"]:
                _check_survey(data)
                self.surveys[int(number)] = data
                return 200, {}
            case ["job_templates", number, "credentials"]:
                self._attach(int(number), data)
                return 204, {}
        raise LookupError(parts)

    def patch(self, parts: list[str], data: Object) -> Object:
        self.changes += 1
        kind, number = parts
        [found] = [one for one in self.objects[kind] if one["id"] == int(number)]
        self._check(kind, {**found, **data}, found)
        found.update(data)
        return found

    # -- what AWX checks --------------------------------------------------------------------------------

    def add(self, kind: str, data: Object) -> Object:
        made = {**data, "id": 1 + sum(map(len, self.objects.values())), "type": KINDS[kind]}
        made["url"] = f"/api/v2/{kind}/{made['id']}/"
        made["related"] = {"survey_spec": f"{made['url']}survey_spec/"}
        made["summary_fields"] = {"current_update": {"id": 1}} if kind == "projects" else {}
        self._check(kind, made, None)
        if kind == "projects":
            made["scm_revision"] = "0" * 40
        self.objects[kind].append(made)
        return made

    def _check(self, kind: str, made: Object, before: Object | None) -> None:
        by = UNIQUE.get(kind, ("name",))
        for other in self.objects[kind]:
            if other is not before and all(other.get(key) == made.get(key) for key in by):
                raise Refused(f"{KINDS[kind]} with this {' and '.join(by)} already exists.")
        if check := getattr(self, f"_check_{KINDS[kind]}", None):
            check(made)

    def _check_credential_type(self, made: Object) -> None:
        fields = {one["id"] for one in made["inputs"]["fields"]}
        injectors = made["injectors"]
        templates = [text for kind in injectors.values() for text in kind.values()]
        named = {f"tower.filename.{name.partition('.')[2]}" for name in injectors.get("file", {})}
        for name in injectors.get("env", {}):
            if name.startswith(("ANSIBLE_", "AWX_")) or not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
                raise Refused(f"Environment variable {name} may affect Ansible configuration")
        for text in templates:
            unknown = meta.find_undeclared_variables(sandbox.SandboxedEnvironment().parse(text))
            if missing := unknown - fields - {"tower"}:
                raise Refused(f"{text} uses an undefined field ({missing})")
            if lacking := set(re.findall(r"tower\.filename\.\w+", text)) - named:
                raise Refused(f"{text}: no file {lacking}")

    def _check_credential(self, made: Object) -> None:
        [kind] = [one for one in self.objects["credential_types"] if one["id"] == made["credential_type"]]
        unknown = set(made.get("inputs", {})) - {one["id"] for one in kind["inputs"]["fields"]}
        if unknown:
            raise Refused(f"Additional properties are not allowed ({unknown})")

    def _check_job_template(self, made: Object) -> None:
        if made["playbook"] not in self.playbooks:
            raise Refused("Playbook not found for project.")

    def _check_schedule(self, made: Object) -> None:
        rule = made["rrule"]
        rules = re.findall(r"RULE:\S*", rule)
        starts = re.findall(r"DTSTART(;[^:]+)?:\d{8}T\d{6}(Z?)", rule)
        if len(starts) != 1 or starts == [("", "")]:
            raise Refused("Valid DTSTART required in rrule.")
        if not rules or any("INTERVAL" not in one or "SECONDLY" in one for one in rules):
            raise Refused("INTERVAL required in rrule")
        if re.search(r"BYDAY[:=]-?\d", rule):
            raise Refused("BYDAY with numeric prefix not supported")
        rrulestr(rule.replace(" ", "\n"))

    def _attach(self, template: int, data: Object) -> None:
        [new] = [one for one in self.objects["credentials"] if one["id"] == data["id"]]
        held = self.credentials.setdefault(template, [])
        types = {one["credential_type"] for one in self.objects["credentials"] if one["id"] in held}
        if new["credential_type"] in types:
            raise Refused("Cannot assign multiple credentials of one type.")
        held.append(new["id"])

    def _listed(self, found: list[Object], query: dict[str, str]) -> Object:
        results = [one for one in found if all(str(one[key]) == value for key, value in query.items())]
        return {"count": len(results), "results": results, "next": None}


def _check_survey(survey: Object) -> None:
    if not (survey.get("name") and survey.get("description") and survey.get("spec")):
        raise Refused("'name', 'description' and 'spec' are required")
    seen = set()
    for number, question in enumerate(survey["spec"]):
        missing = {"type", "question_name", "variable", "required"} - question.keys()
        if missing or question["type"] not in QUESTIONS or question["variable"] in seen:
            raise Refused(f"Survey question {number} is missing {missing}, of no type, or asked twice")
        seen.add(question["variable"])
        default, choices = question.get("default"), question.get("choices")
        if question["type"] == "multiplechoice" and not (choices and default in choices):
            raise Refused(f"Default of question {number} must be one of its choices")
        if question["type"] == "integer" and not isinstance(default, int):
            raise Refused(f"Default of question {number} must be an integer")
        if question["type"] == "text" and not isinstance(default or "", str):
            raise Refused(f"Default of question {number} must be a string")


@contextmanager
def running(awx: Awx) -> Iterator[Awx]:
    """Serves it, by HTTP at a loopback address of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            parts = url.path.removeprefix("/api/v2/").strip("/").split("/")
            data = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.send(401, {"detail": "Authentication credentials were not provided."})
                return
            try:
                match self.command:
                    case "GET":
                        self.send(200, awx.get(parts, dict(parse_qsl(url.query))))
                    case "POST":
                        self.send(*awx.post(parts, data))
                    case "PATCH":
                        self.send(200, awx.patch(parts, data))
            except Refused as refusal:
                self.send(400, {"error": str(refusal), "__all__": [str(refusal)]})
            except (LookupError, ValueError) as error:
                self.send(404, {"detail": repr(error)})

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def send(self, code: int, body: Object) -> None:
            content = b"" if code == 204 else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Nothing: what was asked is in `changes`."""

    server = ThreadingHTTPServer((address(), 0), Handler)
    awx.url = f"http://{server.server_address[0]!s}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield awx
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
