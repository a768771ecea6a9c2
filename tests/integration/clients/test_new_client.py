"""playbooks/new_client.yml as technicians use it: with a file of answers, and at a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from support.inventory import client, repository_host, write
from support.playbook import CHECKOUT, Played, command, play

ANSWERS = {
    "prosecours_client_name": "EARL de l'Étang Noir",
    "prosecours_contract_reference": "PS-2026-0200",
    "prosecours_subscribed_gb": 1,
    "prosecours_options": ["import"],
    "prosecours_contact_main": {
        "title": "Mme",
        "first_name": "Zoé",
        "name": "Lefèvre",
        "email": "zoe.lefevre@etang.example.com",
        "mobile": "06 12 34 56 78",
    },
    "servers": {
        "etang-srv1": {
            "ansible_host": "10.1.2.3",
            "prosecours_root": "D:\\",
            "prosecours_software": ["isagiwf_giw"],
            "prosecours_office": [r"D:\Bureautique", r"E:\Photos été"],
            "prosecours_backup_time": "22:30",
        }
    },
}
FIRST_PORT = 28951
"""At which nothing else listens, on a machine where other tests run: two runs in a row choose the same."""
PASSWORDS = ("prosecours_repository_password", "prosecours_encryption_password")


class _Loader(yaml.SafeLoader):
    """A client's file as YAML has it; what is in the vault stays closed."""


_Loader.add_constructor("!vault", lambda loader, node: node.value)  # type: ignore[no-untyped-call]


class Provider:
    """An inventory with one client, a repository host that is this machine, and one that is down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        self.journal = folder / "journal"
        self.vault = folder / "vault"
        self.vault.write_text("Coffre-Fort 0\n", "utf-8")
        hosts = repository_host(folder / "depot")
        hosts["prosecours_repositories"]["hosts"]["absent"] = {
            "ansible_host": "127.0.29.8",
            "ansible_port": 9,
            "ansible_connection": "ssh",
        }
        write(self.inventory / "repositories.yml", hosts)
        one = client("gaec", "rest:https://depot.example:8041/", prosecours_repository_host="depot")
        write(self.inventory / "clients" / "gaec.yml", one)
        self.answers = write(folder / "answers.yml", ANSWERS)

    def run(self, *more: str, answers: Path | None = None, playbook: str = "new_client") -> Played:
        given: tuple[str, ...] = ()
        if playbook == "new_client":
            answered = f"prosecours_answers={answers or self.answers}"
            given = ("-e", answered, "-e", f"prosecours_first_port={FIRST_PORT}")
        return play(self.inventory, playbook, *given, *more, environment=self.environment)

    @property
    def sealed(self) -> tuple[str, ...]:
        return ("--vault-password-file", str(self.vault))

    @property
    def environment(self) -> dict[str, str]:
        return {"PROSECOURS_JOURNAL": str(self.journal), "ANSIBLE_SSH_ARGS": "-o ConnectTimeout=1"}

    @property
    def clients(self) -> list[str]:
        """All that lies beside the clients' files."""
        return sorted(path.name for path in (self.inventory / "clients").iterdir())

    def file(self, name: str) -> Any:
        text = (self.inventory / "clients" / f"{name}.yml").read_text("utf-8")
        return yaml.load(text, Loader=_Loader)["prosecours_clients"]["children"][name]  # noqa: S506

    def opened(self, text: str) -> str:
        secret = VaultSecret(self.vault.read_bytes().strip())
        return str(VaultLib([("default", secret)]).decrypt(text).decode())

    def changed(self, name: str, **answers: Any) -> Path:
        return write(self.folder / f"{name}.yml", {**ANSWERS, **answers})


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    return Provider(tmp_path_factory.mktemp("provider"))


def test_from_the_answers_to_a_client_that_can_be_deployed(provider: Provider) -> None:
    nothing = provider.clients
    closed = provider.run()
    assert "There is no password of a vault" in closed.text
    wrong = provider.changed(
        "wrong",
        prosecours_subscribed_gb="beaucoup",
        prosecours_contract_reference="{{ lookup('pipe', 'id') }}",
        prosecour_options=[],
        servers={"etang-srv1": {"prosecours_software": ["isagdfw"], "prosecours_repository_password": "x"}},
    )
    refused = provider.run(*provider.sealed, answers=wrong)
    for said in (
        "which Ansible would compute",
        'Did you mean "prosecours_options"?',
        "made by the playbook",
        "Nothing was written.",
    ):
        assert said in refused.text
    value = write(provider.folder / "value.yml", {**ANSWERS, "prosecours_subscribed_gb": 0})
    value.write_text(value.read_text("utf-8").replace("isagiwf_giw", "isagdfw"), "utf-8")
    refused = provider.run(*provider.sealed, answers=value)
    for said in ("value.yml line 3", "0 is less than 1", 'The box "isagdfw" is unknown', "2 errors"):
        assert said in refused.text
    assert (refused.code, provider.clients) == (2, nothing)

    foretold = provider.run(*provider.sealed, "--check", "--diff")
    assert (foretold.code, provider.clients) == (0, nothing), foretold.output
    written = provider.run(*provider.sealed, "--diff")
    assert written.code == 0, written.output
    assert written.changes == foretold.changes
    assert [line for line in written.output.splitlines() if line.startswith("+")] == [
        line for line in foretold.output.splitlines() if line.startswith("+")
    ]
    assert "The repository host absent did not answer" in written.text
    begin = f"--vault-password-file {provider.vault} playbooks/deploy.yml"
    assert f"{begin} --limit earl_de_l_etang_noir" in written.text

    # What was answered, and nothing else, is in the file; with a place, and passwords that nobody sees.
    assert provider.clients == ["earl_de_l_etang_noir.yml", "gaec.yml"]
    path = provider.inventory / "clients" / "earl_de_l_etang_noir.yml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "# Annexe 1, one part for each server" in path.read_text("utf-8")
    file = provider.file("earl_de_l_etang_noir")
    port = int(file["vars"].pop("prosecours_repository_url").split(":")[-1].strip("/"))
    assert port == FIRST_PORT
    assert file["vars"].pop("prosecours_repository_host") == "depot"
    own = dict(file["hosts"]["etang-srv1"])
    secrets = [provider.opened(own.pop(name)) for name in PASSWORDS]
    assert {**file["vars"], "servers": {"etang-srv1": own}} == ANSWERS
    assert len({*secrets}) == 2
    assert all(re.fullmatch("[A-Za-z0-9]{24,32}", secret) for secret in secrets)
    kept = provider.journal.read_text("utf-8")
    assert not [one for one in secrets if one in written.output + kept]
    assert "file_written" in kept

    # Another client has no place here.
    before = path.read_bytes()
    other = provider.run(*provider.sealed, answers=provider.changed("other", prosecours_subscribed_gb=2))
    assert "is there already" in other.text
    assert "says something else" in other.text
    twice = provider.changed("twice", client="autre")
    refused = provider.run(*provider.sealed, answers=twice)
    assert 'The client "earl_de_l_etang_noir"' in refused.text or "is in earl_de_l" in refused.text
    assert (refused.code, path.read_bytes()) == (2, before)

    # Another password than the one that the vault has: nothing is made that nobody could open later.
    mistyped = provider.folder / "mistyped"
    mistyped.write_text("Coffre-Fort O\n", "utf-8")
    new = provider.changed(
        "new",
        client="nouveau",
        prosecours_contract_reference="PS-1",
        servers={
            "nouveau-srv": {**ANSWERS["servers"]["etang-srv1"], "ansible_host": "10.1.2.4"}  # type: ignore[index]
        },
    )
    refused = provider.run("--vault-password-file", str(mistyped), answers=new)
    assert "Give the vault's password" in refused.text
    assert provider.clients == ["earl_de_l_etang_noir.yml", "gaec.yml"]

    # Two at once: each gets a port of its own.
    third = provider.changed(
        "third",
        client="troisieme",
        prosecours_contract_reference="PS-2",
        servers={
            "troisieme-srv": {**ANSWERS["servers"]["etang-srv1"], "ansible_host": "10.1.2.5"}  # type: ignore[index]
        },
    )
    started = [
        subprocess.Popen(
            command(provider.inventory, "new_client", "-e", f"prosecours_answers={one}", *provider.sealed),
            cwd=CHECKOUT,
            env={**os.environ, **provider.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in (new, third)
    ]
    assert [one.wait(120) for one in started] == [0, 0]
    assert provider.run(*provider.sealed, playbook="check").code == 0


class Terminal:
    """ansible-playbook at a terminal."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self.seen = ""
        self.pid, self._master = pty.fork()
        if not self.pid:
            os.chdir(CHECKOUT)
            os.execvpe(  # noqa: S606
                words[0], words, {**os.environ, **environment, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "200"}
            )

    def expect(self, text: str, seconds: float = 60) -> None:
        """Waits until it is shown, and forgets what came before it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _writable, _errors = select.select([self._master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} never came after {self.seen!r}"
            try:
                self.seen += os.read(self._master, 65536).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"ended without {text!r}: {self.seen!r}") from None
        self.seen = self.seen.partition(text)[2]

    def answer(self, question: str, text: str) -> None:
        self.expect(question)
        time.sleep(0.3)  # Ansible throws away what was typed before it listens
        os.write(self._master, f"{text}\r".encode())

    def interrupt(self) -> None:
        time.sleep(0.3)
        os.write(self._master, b"\x03")

    def end(self) -> int:
        while True:
            try:
                if not os.read(self._master, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_at_a_terminal_a_slip_is_asked_again_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    provider = Provider(tmp_path)
    words = command(provider.inventory, "new_client", *provider.sealed)

    left = Terminal(words, provider.environment)
    left.answer("Name of the client", "GAEC Élevage")
    left.answer("Reference of the contract", "PS-2026-0300")
    left.expect("Subscribed volume")
    left.interrupt()
    left.expect("Nothing was written")
    assert left.end() != 0
    assert provider.clients == ["gaec.yml"]

    one = Terminal(words, provider.environment)
    for question, answer in (
        ("Name of the client", "GAEC Élevage"),
        ("Reference of the contract", "PS-2026-0300"),
        ("Subscribed volume", "beaucoup"),
        ("is text, not a whole number", "20"),
        ("Options of Annexe 1", "1"),
        ("[gaec_elevage]", "gaec"),
        ('client "gaec" is in the inventory already', ""),
        ("Main contact, title", "M."),
        ("first name", "Rémi"),
        ("family name", "Petit"),
        ("e-mail address", "remi"),
        ("is no e-mail address", "remi.petit@elevage.example.com"),
        ("mobile number", "03 44 06 41 14"),
        ("is not the number of a mobile", "06 12 34 56 78"),
        ("Substitute, title", ""),
        ("Postal address", ""),
        ("[gaec-elevage-srv1]", ""),
        ("Address of gaec-elevage-srv1", "10.9.9.9"),
        ("<racine>", "D"),
        ("is not the root of a drive", "D:\\"),
        ("Ticked boxes", "1 isagdwf"),
        ("What is true of the server", ""),
        ("Office directories", r"D:\Bureautique; E:\Été"),
        ("Another server?", "n"),
        ("Write ", "y"),
    ):
        one.answer(question, answer)
    one.expect("Next:")
    assert one.end() == 0

    # With the annex that a client filled in, the rest is asked.
    annex = tmp_path / "annexe-remplie.json"
    office = {"prosecours_software": [], "prosecours_office": [r"E:\Été"]}
    told = {name: ANSWERS[name] for name in ("prosecours_client_name", "prosecours_contact_main")}
    annex.write_text(json.dumps({**told, "prosecours_subscribed_gb": 5, "servers": {"Compta": office}}))
    two = Terminal([*words, "-e", f"prosecours_annex={annex}"], provider.environment)
    for question, answer in (
        ("Reference of the contract", "PS-2026-0301"),
        ("Options of Annexe 1", ""),
        ("[earl_de_l_etang_noir]", "etang"),
        ('annex calls "Compta"', "etang-compta"),
        ("Address of etang-compta", "10.9.9.8"),
        ("Write ", "y"),
    ):
        two.answer(question, answer)
    two.expect("Next:")
    assert two.end() == 0
    filled = provider.file("etang")
    assert filled["vars"]["prosecours_subscribed_gb"] == 5
    assert filled["hosts"]["etang-compta"]["prosecours_office"] == [r"E:\Été"]

    file = provider.file("gaec_elevage")
    own = file["hosts"]["gaec-elevage-srv1"]
    assert file["vars"]["prosecours_options"] == ["import"]
    assert file["vars"]["prosecours_subscribed_gb"] == 20
    assert own["prosecours_software"] == ["isa_sauvegarde_dossier", "isagdwf"]
    assert own["prosecours_office"] == [r"D:\Bureautique", r"E:\Été"]
    assert provider.run(*provider.sealed, playbook="check").code == 0


def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """A folder that is full or that others own; a run without a terminal."""
    provider = Provider(tmp_path)
    nobody = play(provider.inventory, "new_client", *provider.sealed, environment=provider.environment)
    assert "There is no terminal to ask at" in nobody.text
    # Any file that is written ends at a size that only the client's file exceeds, as on a disk that is full.
    full = play(
        provider.inventory,
        "new_client",
        "-e",
        f"prosecours_answers={provider.answers}",
        *provider.sealed,
        environment={**provider.environment, "PROSECOURS_JOURNAL": "/dev/null"},
        before=("bash", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$@"', "full"),
    )
    assert "cannot be written" in full.text or "File too large" in full.text, full.output
    assert provider.clients == ["gaec.yml"]
