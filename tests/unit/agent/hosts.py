"""A contract, and a host that answers what a test says: shared by the tests of the agent."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.desired import (
    BINARY,
    FOLDER_RIGHTS,
    INHERITED_RIGHTS,
    Binary,
    Desired,
    Request,
    secret_bytes,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.facts import Facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import HostContract
from ansible_collections.prosecours.backup.plugins.plugin_utils.secret import Secret
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import Output
from unit.contract.contracts import OF_HOST

FOLDER = "C:\\Program Files\\ProSecours"
IDENTITY = "ab" * 32
RESTIC = b"MZ a program"

CONTRACT: dict[str, Any] = {
    **OF_HOST,
    "client": {"id": "gaec_du_moulin", "name": "GAEC du Moulin", "reference": "PS-2026-0042"},
    "host": "moulin-srv1",
    "perimeter": [
        {"box": "isagiwf_backup", "path": "D:\\isagiwf\\backup", "kind": "directory"},
        {"box": "isagiwf_giw", "path": "D:\\isagiwf\\B????.GIW", "kind": "pattern"},
        {"box": "office", "path": "E:\\Données partagées\\Élevage & cultures", "kind": "directory"},
    ],
    "excludes": ["*.tmp"],
    "schedule": {"time": "22:00", "spread_minutes": 60},
    "upload_limit_kib": 0,
}


def request(restic: Path | None = None, **settings: Any) -> Request:
    """A request with plausible settings; `restic` is written when given."""
    if restic:
        restic.write_bytes(RESTIC)
    binary = Binary(str(restic or "/none/restic.exe"), "0.19.1", hashlib.sha256(RESTIC).hexdigest())
    given = Request(
        contract=HostContract.from_plain(CONTRACT),
        url="rest:https://backup.example:8000/moulin/",
        username="moulin",
        http_password=Secret("http-password"),
        encryption_password=Secret("encryption password é"),
        ca="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        binary=binary,
        wait_seconds=0,
    )
    return replace(given, **settings)


def in_order(wanted: Desired) -> Facts:
    """The facts of a host that is exactly as wanted."""
    texts = dict(wanted.texts)
    hashes = {
        name: hashlib.sha256(secret_bytes(secret)).hexdigest() for name, secret in wanted.secrets.items()
    }
    return Facts(
        exists=True,
        tar=True,
        names=frozenset({*texts, *hashes, BINARY, "repository.id", "logs"}),
        folder_rights=FOLDER_RIGHTS,
        rights={**dict.fromkeys([*texts, *hashes, BINARY], INHERITED_RIGHTS[0]), "logs": INHERITED_RIGHTS[1]},
        hashes={**hashes, BINARY: wanted.binary.sha256},
        texts=texts,
        task_xml=wanted.task_xml,
        repository_id=IDENTITY,
    )


class Host:
    """A session: the first rule whose pattern is found in a command line answers it; else exit code 0.

    A rule answers with an Output, an exception, or a function of the line. `lines`, `inputs`: what was sent.
    """

    host = "moulin-srv1"
    clock_offset = 0.0

    def __init__(self, *rules: tuple[str, Output | Exception | Callable[[str], Output]]) -> None:
        self.rules = list(rules)
        self.lines: list[str] = []
        self.inputs: list[bytes] = []
        self.files: list[str] = []

    def run(self, line: str, stdin: Iterable[bytes] = (), timeout: float = 120.0) -> Output:
        self.lines.append(line)
        data = b"".join(stdin)
        if data:
            self.inputs.append(data)
        for pattern, answer in self.rules:
            if re.search(pattern, line):
                if isinstance(answer, Exception):
                    raise answer
                return answer if isinstance(answer, Output) else answer(line)
        return Output(0, b"", b"")

    def put_file(self, source: str, target: str) -> None:
        self.files.append(target)

    def commands(self, pattern: str) -> list[str]:
        """The lines sent that match."""
        return [line for line in self.lines if re.search(pattern, line)]


def sections(answers: Mapping[str, str]) -> Callable[[str], Output]:
    """Answer a composite command: each probe prints its entry of `answers`, or nothing."""

    def answer(line: str) -> Output:
        names = re.findall(r"echo ##(\w+):([\w:.-]*)", line)
        nonce = names[0][0]
        parts = [f"##{nonce}:{name}\r\n{answers.get(name, '')}\r\n" for _, name in names if name]
        return Output(0, "".join([*parts, f"##{nonce}:\r\n"]).encode(), b"")

    return answer


def answers_of(facts: Facts) -> dict[str, str]:
    """What a host with these facts prints for the probes of `agent_facts`."""
    return {
        "exists": "1\r\n" if facts.exists else "",
        "vss": "    Start    REG_DWORD    0x3\r\n" if facts.shadow_copies else "",
        "has_tar": "1\r\n" if facts.tar else "",
        "free": "" if facts.running else "1 \r\n",
        "names": "\r\n".join(sorted(facts.names)),
        "leftovers": "".join(f"{name}\r\n" for name in facts.leftovers),
        "folder_rights": f"ProSecours\r\n{facts.folder_rights}\r\n" if facts.folder_rights else "",
        "rights": "".join(f"{name}\r\n{sddl}\r\n" for name, sddl in facts.rights.items()),
        **{
            f"hash:{name}": f"SHA256 de {name}\r\n{value}\r\nCertUtil\r\n"
            for name, value in facts.hashes.items()
        },
        **{f"type:{name}": text for name, text in facts.texts.items()},
        "type:repository.id": f"{facts.repository_id}\r\n",
        "type:status.json": json.dumps(facts.status) if facts.status else "",
        "task": facts.task_xml,
    }
