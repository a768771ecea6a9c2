"""The action in Ansible itself: resolved values, vaults, what a technician sees, and the time it takes."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.files import COLLECTION
from support.playbook import Played, play
from unit.contract.conftest import LAC, MOULIN

SHARED = """
prosecours_clients:
  vars:
    lab_id: "{{ group_names | reject('eq', 'prosecours_clients') | first }}"
    prosecours_repository_url: "rest:https://{{ lab_id }}.example:8000/"
    prosecours_repository_password: "{{ 'S3cret' ~ '-of-the-repository-of-' ~ inventory_hostname }}"
    prosecours_encryption_password: "{{ 'S3cret' ~ '-of-the-encryption-of-' ~ inventory_hostname }}"
"""

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - prosecours.backup.contract:
      register: contract_result
    - ansible.builtin.copy:
        content: "{{ contract_result | to_json }}"
        dest: "{{ playbook_dir }}/result.json"
        mode: "0600"
"""


class Ansible:
    """An inventory in a folder, and ansible-playbook on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventory"
        self.write("inventory/all_clients.yml", SHARED)
        self.write("inventory/clients/moulin.yml", MOULIN)
        self.write("play.yml", PLAYBOOK)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, playbook: Path | None = None, *more: str, **environment: str) -> Played:
        return play(self.inventory, playbook or self.folder / "play.yml", *more, environment=environment)


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    return Ansible(tmp_path)


def test_the_result_is_plain_and_holds_no_secret(ansible: Ansible) -> None:
    done = ansible.run(None, "-vvv")
    assert done.code == 0, done.output
    result = json.loads((ansible.folder / "result.json").read_text("utf-8"))
    assert result["changed"] is False
    assert list(result["clients"]) == ["gaec_du_moulin"]
    assert result["hosts"]["moulin-srv1"]["perimeter"][1]["path"] == r"D:\isagiwf\B????.GIW"
    assert "S3cret" not in done.output + json.dumps(result)


def test_errors_are_a_list_for_people(ansible: Ansible) -> None:
    ansible.write(
        "inventory/clients/moulin.yml",
        MOULIN.replace("_gb: 200", '_gb: "{{ volume }}"').replace("_giw", "_gwi"),
    )
    ansible.write("inventory/clients/lac.yml", LAC.replace("D:\\", ""))
    done = ansible.run()
    assert done.code == 2
    assert done.stderr.startswith(
        f"\n{ansible.inventory}/clients/lac.yml\n"
        "  line 18 · lac-srv · prosecours_office, entry 1\n"
        '      "Commun" is relative.\n'
        "      → Begin with the drive, like D:\\Data.\n"
        "\n"
        f"{ansible.inventory}/clients/moulin.yml\n"
        "  line 7 · gaec_du_moulin · prosecours_subscribed_gb\n"
        "      Ansible cannot compute it: 'volume' is undefined.\n"
        "      → Define the variable that it names, or correct its name.\n"
        "  line 27 · moulin-srv1 · prosecours_software, entry 2\n"
        '      The box "isagiwf_gwi" is unknown.\n'
        '      → Did you mean "isagiwf_giw"?\n'
    )
    assert "msg: 3 errors in 2 files of the inventory, listed above. No server was touched." in done.stdout
    assert "Traceback" not in done.output


def test_vaults(ansible: Ansible) -> None:
    ansible.write("right", "right\n")
    secret = subprocess.run(
        ["ansible-vault", "encrypt_string", "--vault-password-file", ansible.folder / "right",
         "--name", "          prosecours_encryption_password", "S3cret-in-the-vault"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    secret = secret.replace("\n          ", "\n              ")
    name = "        moulin-srv1:\n"
    ansible.write("inventory/clients/moulin.yml", MOULIN.replace(name, f"{name}{secret}\n"))
    without = ansible.run()
    assert without.code == 2
    assert " · moulin-srv1 · prosecours_encryption_password" in without.stderr
    assert "→ Give the vault's password with --ask-vault-pass or --vault-password-file." in without.stderr
    with_it = ansible.run(None, "--vault-password-file", str(ansible.folder / "right"))
    assert with_it.code == 0, with_it.output
    subprocess.run(
        ["ansible-vault", "encrypt", "--vault-password-file", "right", "inventory/all_clients.yml"],
        cwd=ansible.folder, check=True, capture_output=True,
    )  # fmt: skip
    ansible.write("inventory/clients/lac.yml", LAC.replace("20", "0"))
    whole = ansible.run(None, "--vault-password-file", str(ansible.folder / "right"))
    assert "line 7 · ferme_du_lac · prosecours_subscribed_gb" in whole.stderr
    assert "S3cret" not in whole.output


def test_unknown_variables_from_the_command_line(ansible: Ansible) -> None:
    done = ansible.run(None, "-e", "prosecours_encription_password=x")
    assert done.stderr.startswith(
        "\nNot in the inventory's files (given with -e?)\n  moulin-srv1, moulin-sql · "
    )
    assert 'Did you mean "prosecours_encryption_password"?' in done.stderr


def test_a_value_from_the_command_line_is_not_said_of_the_file_that_it_wins_over(ansible: Ansible) -> None:
    done = ansible.run(None, "-e", '{"prosecours_subscribed_gb": 0}')
    assert done.stderr == (
        "\nNot in the inventory's files (given with -e?)\n"
        "  moulin-srv1, moulin-sql · prosecours_subscribed_gb\n"
        "      0 is less than 1.\n"
        "      → Write the volume of Annexe 1 in whole GB, for example 200.\n"
    )


def test_a_mistake_is_placed_where_ansible_has_the_value_from(ansible: Ansible) -> None:
    """What a template takes from elsewhere, and what wins by a rank that only Ansible knows."""
    ansible.write(
        "inventory/all_clients.yml",
        SHARED + "    it_department:\n      title: M.\n      first_name: Jean\n      name: Petit\n"
        '      email: jean.petit\n      mobile: "07 61 23 45 67"\n',
    )
    contact = MOULIN[MOULIN.index("          title: M.") : MOULIN.index("      hosts:")]
    text = MOULIN.replace(f"substitute:\n{contact}", "substitute: '{{ it_department }}'\n").replace(
        "          prosecours_office:\n            - D:\\Bureautique\n",
        "          prosecours_office: '{{ offices }}'\n"
        "          offices:\n            - D:\\A\n            - B\n",
    )
    ansible.write("inventory/clients/moulin.yml", text)
    ansible.write("inventory/zone.yml", "zone: {hosts: {moulin-sql: }}\n")
    ansible.write(
        "inventory/group_vars/zone.yml", "ansible_group_priority: 20\nprosecours_backup_time: '25:00'\n"
    )
    ansible.write("inventory/group_vars/all/times.yml", "prosecours_backup_time: '23:00'\n")
    done = ansible.run()
    assert done.code == 2
    shown = [line for line in done.stderr.splitlines() if line.startswith(("  line", str(ansible.inventory)))]
    assert shown == [
        f"{ansible.inventory}/all_clients.yml",
        f"  line {SHARED.count(chr(10)) + 5} · gaec_du_moulin · prosecours_contact_substitute.email",
        f"{ansible.inventory}/clients/moulin.yml",
        f"  line {text.splitlines().index('            - B') + 1} · moulin-srv1 · prosecours_office, entry 2",
        f"{ansible.inventory}/group_vars/zone.yml",
        "  line 2 · gaec_du_moulin · prosecours_backup_time",
    ]


def test_an_inventory_without_a_client_fails(ansible: Ansible) -> None:
    shutil.rmtree(ansible.inventory / "clients")
    done = ansible.run(COLLECTION / "playbooks" / "check.yml")
    assert done.code == 2
    assert "The inventory describes no client." in done.stderr


@pytest.mark.parametrize("name", ["example", "lab"])
def test_the_inventories_are_valid(name: str, ansible: Ansible) -> None:
    ansible.inventory = COLLECTION / "inventories" / name
    ansible.write("lab/ca.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    environment = {
        "PROSECOURS_LAB": str(ansible.folder / "lab"),
        "PROSECOURS_SECRETS": str(ansible.folder / "secrets"),
    }
    done = ansible.run(COLLECTION / "playbooks" / "check.yml", **environment)
    assert done.code == 0, done.output
    listed = subprocess.run(
        ["ansible-inventory", "-i", ansible.inventory, "--list"], capture_output=True, text=True, check=True
    )
    assert len(json.loads(listed.stdout)["prosecours_clients"]["children"]) == 2
    assert "WARNING" not in listed.stderr


def test_a_third_lab_client_is_a_copied_file(ansible: Ansible) -> None:
    checkout = ansible.folder / "checkout"
    shutil.copytree(COLLECTION / "inventories" / "lab", checkout / "inventories" / "lab")
    ansible.inventory = checkout / "inventories" / "lab"
    ansible.write(
        "checkout/build/lab/ca.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    )
    clients = ansible.inventory / "clients"
    text = (clients / "earl_des_tilleuls.yml").read_text("utf-8")
    for old, new in (
        ("des_tilleuls", "neuve"),
        ("tilleuls-srv", "neuve-srv"),
        ("127.0.1.13", "127.0.1.14"),
        ("0057", "0058"),
    ):
        text = text.replace(old, new)
    (clients / "earl_neuve.yml").write_text(text, encoding="utf-8")
    done = ansible.run(COLLECTION / "playbooks" / "check.yml", PROSECOURS_LAB="")
    assert done.code == 0, done.output
    assert len(list((checkout / "build" / "secrets").iterdir())) == 4 * 2  # of four servers; none was asked
    ansible.write(
        "ask.yml",
        "- hosts: prosecours_clients\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.assert: {that: ansible_password | length > 0}\n",
    )
    done = ansible.run(ansible.folder / "ask.yml", PROSECOURS_LAB="")
    assert done.code == 0, done.output
    secrets = sorted((checkout / "build" / "secrets").iterdir())
    assert len(secrets) == 4 * 3  # of each server: to Windows, to its repository, and to what lies there
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_fifty_clients_take_seconds(ansible: Ansible) -> None:
    for number in range(50):
        text = LAC.replace("ferme_du_lac", f"client_{number}").replace("lac-srv", f"srv-{number}")
        text = text.replace("0043", f"1{number:03}").replace("127.0.1.13", f"127.0.2.{number}")
        ansible.write(f"inventory/clients/client_{number}.yml", text)
    start = time.monotonic()
    done = ansible.run(COLLECTION / "playbooks" / "check.yml")
    assert done.code == 0, done.output
    assert time.monotonic() - start < 10


def test_files_that_ansible_cannot_read_are_in_the_same_list(ansible: Ansible) -> None:
    ansible.write("inventory/clients/casse.yml", 'prosecours_clients:\n  chemin: "D:\\isa"\n')
    ansible.write(
        "inventory/clients/lac.yml", LAC.replace("_gb: 20", "_gb: 20\n        prosecours_subscribed_gb: 0")
    )
    done = ansible.run(
        ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="false", ANSIBLE_DUPLICATE_YAML_DICT_KEY="warn"
    )
    assert done.code == 2
    for words in (
        "clients/casse.yml\n  line 2\n      The file is not valid YAML",
        "→ Write Windows paths without quotes",
        "  line 8 · prosecours_subscribed_gb\n      It is written twice in the same place, first in line 7.",
        "      0 is less than 1.",
    ):
        assert words in done.stderr
