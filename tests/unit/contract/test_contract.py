"""The layers of validation, one mistake at a time and all at once; and the contract that comes out."""

# ruff: noqa: E501  (a table of mistakes reads best with one mistake a line)

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.prosecours.backup.plugins.plugin_utils.ansible_adapter import (
    NoInventory,
    inventory_files,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import contracts as contract
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import variables
from ansible_collections.prosecours.backup.plugins.plugin_utils.files import COLLECTION
from ansible_collections.prosecours.backup.plugins.plugin_utils.validation import mistakes as contract_errors
from jsonschema import Draft202012Validator

from .conftest import LAC, MOULIN, Inventory

SRV1 = "      hosts:\n        moulin-srv1:\n"


def test_the_contract_of_a_server(inventory: Inventory) -> None:
    found = inventory.check()
    assert found.errors == ()
    assert found.hosts["moulin-srv1"] == {
        "client": {"id": "gaec_du_moulin", "name": "GAEC du Moulin", "reference": "PS-2026-0042"},
        "host": "moulin-srv1",
        "repository": "rest:https://gaec_du_moulin.example:8000/moulin-srv1/",
        "subscribed_gb": 200,
        "retention": {"daily": 7, "weekly": 3},
        "options": ["import"],
        "alsace_moselle": False,
        "monthly_report": False,
        "contacts": {
            "main": {
                "title": "Mme",
                "first_name": "Élodie",
                "name": "Lefèvre",
                "email": "elodie@moulin.example",
                "mobile": "06 12 34 56 78",
            },
            "substitute": {
                "title": "M.",
                "first_name": "Gaëtan",
                "name": "Lefèvre",
                "email": "gaetan@moulin.example",
                "mobile": "+33 7 82 34 56 78",
            },
        },
        "perimeter": [
            {"box": "isagiwf_backup", "path": r"D:\isagiwf\backup", "kind": "directory"},
            {"box": "isagiwf_giw", "path": r"D:\isagiwf\B????.GIW", "kind": "pattern"},
            {"box": "office", "path": r"D:\Bureautique", "kind": "directory"},
        ],
        "excludes": [],
        "schedule": {"time": "22:00", "spread_minutes": 60},
        "upload_limit_kib": 0,
        "uplink_mbit": None,
        "downlink_mbit": None,
        "dumps": {r"D:\isagiwf\backup": 4},
        "paper": {"address": None, "by_mail": False, "signed": None},
        "retired": {},
        "form": {
            "root": "D:\\",
            "boxes": {
                "isagiwf_backup": r"<racine>\isagiwf\backup ou <racine>\isabackup (serveur SQL dédié)",
                "isagiwf_giw": r"<racine>\isagiwf\Bxxxx.GIW",
            },
            "variants": [],
        },
    }
    assert found.clients["gaec_du_moulin"]["hosts"] == ["moulin-srv1", "moulin-sql"]
    assert found.hosts["moulin-sql"]["perimeter"][0]["path"] == r"D:\isabackup"
    assert found.clients["gaec_du_moulin"]["dumps"] == {
        "moulin-srv1": {r"D:\isagiwf\backup": 4},
        "moulin-sql": {r"D:\isabackup": 4},
    }


@pytest.mark.parametrize(("days", "kept"), [(0, {}), (10, {r"D:\isagiwf\backup": 10})])
def test_a_server_may_have_another_age_of_its_dumps(
    inventory: Inventory, days: int, kept: dict[str, int]
) -> None:
    inventory.edit("clients/moulin.yml", (SRV1, f"{SRV1}          prosecours_dump_days: {days}\n"))
    found = inventory.check()
    assert found.errors == ()
    assert found.clients["gaec_du_moulin"]["dumps"]["moulin-srv1"] == kept


def test_no_secret_is_in_the_result_or_in_an_error(inventory: Inventory) -> None:
    whole = json.dumps([inventory.check().clients, inventory.check().hosts])
    assert "S3cret" not in whole
    inventory.edit(
        "clients/lac.yml",
        (
            "      hosts:\n",
            "        prosecours_repository_url: rest:https://u:S3cret@host/x/\n"
            "        prosecours_repository_password: [S3cret]\n"
            "        prosecours_encryption_password: S3cret\n"
            "      hosts:\n",
        ),
    )
    errors = inventory.errors()
    assert len(errors) == 3
    assert "S3cret" not in "".join(errors)


# -- layer 1: the files ---------------------------------------------------------------------------------

SHAPES: list[tuple[str, str, str]] = [
    ("prosecours_clients:\n  children:\n    lac:\n      vars:\n\tx: 1\n", "5", "Indent with spaces"),
    ('prosecours_clients:\n  x: "D:\\isa"\n', "2", "Write Windows paths without quotes"),
    ("prosecours_clients:\n  x: y: z\n", "2", "Check the indentation of this line, and quote"),
    ("prosecours_clients:\n  - x\n y: 2\n", "3", "Check the indentation"),
    ("", "1", "the file does not begin with prosecours_clients"),
    ("- a\n", "1", "the file does not begin with prosecours_clients"),
    ("prosecours_client:\n  children:\n", "1", 'Did you mean "prosecours_clients"?'),
    ("prosecours_clients:\nchildren:\n  lac:\n", "1", "nothing stands below prosecours_clients"),
    ("prosecours_clients:\n  childs:\n    lac:\n", "2", 'Did you mean "children"?'),
    (
        "prosecours_clients:\n  lac:\n    hosts: {a: }\n",
        "2",
        '"lac" stands directly below prosecours_clients',
    ),
    (
        "prosecours_clients:\n  vars: {a: 1}\n  children:\n    lac: {hosts: {a: }}\n",
        "2",
        "change every client",
    ),
    ("prosecours_clients:\n  children:\n", "2", "no client stands below children"),
    ("prosecours_clients:\n  children:\n    lac:\n", "3", "neither vars nor hosts"),
    ("prosecours_clients:\n  children:\n    lac: {vars: {x: 1}}\n", "3", "the client has no server"),
    ("prosecours_clients:\n  children:\n    lac:\n      hosts:\n", "4", "no server stands below hosts"),
    ("prosecours_clients:\n  children:\n    lac: {host: {a: }}\n", "3", 'Did you mean "hosts"?'),
    ("prosecours_clients:\n  children:\n    lac: {hosts: {a: 5}}\n", "3", "are not variables"),
    ("prosecours_clients:\n  children:\n    lac: {hosts: {'srv[1:3]': }}\n", "3", "one line for each server"),
    ("prosecours_clients:\n  children:\n    lac: {hosts: {lac: }}\n", "3", "is the name of a client"),
    (
        "prosecours_clients:\n  children:\n    lac:\n      prosecours_office: []\n      hosts: {a: }\n",
        "4",
        "Indent it below vars",
    ),
    (
        "prosecours_clients:\n  children:\n    lac:\n      vars:\n        hosts: {a: }\n",
        "5",
        "Check its indentation",
    ),
    ("prosecours_clients:\n  children:\n    Élevage-Sud: {hosts: {a: }}\n", "3", 'Write "elevage_sud"'),
    (
        "prosecours_clients:\n  children:\n    un: {hosts: {a: }}\n    deux: {hosts: {b: }}\n",
        "4",
        "several clients: un, deux",
    ),
]


@pytest.mark.parametrize(("text", "line", "words"), SHAPES)
def test_the_shape_of_a_file(inventory: Inventory, text: str, line: str, words: str) -> None:
    inventory.write("clients/neuf.yml", text)
    errors = [error for error in inventory.errors() if error.startswith(f"neuf.yml:{line} ")]
    assert any(words in error for error in errors), inventory.errors()


def test_a_file_that_is_not_utf_8(inventory: Inventory) -> None:
    (inventory.folder / "clients" / "neuf.yml").write_bytes("nom: Chênes".encode("latin-1"))
    assert inventory.errors() == [
        "neuf.yml:-  : the file is not UTF-8 text → Save it again with the encoding UTF-8"
    ]


def test_a_file_that_ansible_passes_over(inventory: Inventory) -> None:
    (inventory.folder / "clients" / "lac.yml").rename(inventory.folder / "clients" / "lac.YML")
    assert inventory.errors() == [
        "lac.YML:15 lac-srv : Ansible does not read this server → "
        "Give the file the ending .yml, and a place in the folder clients of the inventory"
    ]


def test_a_server_that_an_imported_inventory_lacks(inventory: Inventory) -> None:
    """AWX hands over a form of its own: cut into slices, or older than the files."""
    resolved = inventory.resolved({})
    lacking = min(resolved)
    del resolved[lacking]
    found = contract.load([inventory.folder], inventory.folder, Path.read_text, resolved, imported=True)
    assert [(error.who, error.problem) for error in found.errors] == [
        (lacking, "the inventory that Ansible was given lacks this server")
    ]
    assert found.hosts == {}


def test_an_inventory_that_is_named_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoInventory, match=r"prosecours_inventory names .*, which is not there"):
        inventory_files([str(tmp_path / "inventaires")], {})
    assert inventory_files([str(tmp_path)], {}) == [tmp_path]


def test_a_file_that_cannot_be_read(inventory: Inventory) -> None:
    def text_of(path: Path) -> str:
        if path.name == "lac.yml":
            raise PermissionError(13, "Permission denied")
        return path.read_text("utf-8")

    found = contract.load([inventory.folder], inventory.folder, text_of, inventory.resolved({}))
    assert [error.problem for error in found.errors] == [
        "the file cannot be read: [Errno 13] Permission denied"
    ]


def test_a_key_written_twice(inventory: Inventory) -> None:
    inventory.edit(
        "clients/lac.yml",
        ("          ansible_host", "          prosecours_root: D:\\\n          ansible_host"),
    )
    inventory.edit(
        "clients/lac.yml",
        ("          prosecours_office", "          prosecours_root: E:\\\n          prosecours_office"),
    )
    assert inventory.errors() == [
        "lac.yml:18  prosecours_root: it is written twice in the same place, first in line 16 → Keep one of the two lines"
    ]


def test_a_copied_file_that_was_not_renamed(inventory: Inventory) -> None:
    inventory.write("clients/neuf.yml", LAC)
    assert inventory.errors() == [
        "neuf.yml:3 ferme_du_lac : the client is in lac.yml (line 3) too → "
        "In a copied file, give the client and each of its servers names of their own",
        'neuf.yml:15 ferme_du_lac : the server "lac-srv" is in lac.yml (line 15) too → '
        "In a copied file, give each server a name of its own",
    ]


def test_a_copied_file_that_was_only_renamed(inventory: Inventory) -> None:
    inventory.write("clients/neuf.yml", LAC.replace("ferme_du_lac", "neuf").replace("lac-srv", "neuf-srv"))
    assert inventory.errors() == [
        'neuf.yml:6 neuf prosecours_contract_reference: the client "ferme_du_lac" (lac.yml) has the same → Write the one of "neuf"',
        'neuf.yml:16 neuf-srv ansible_host: 127.0.1.13:5986 is the address of the server "lac-srv" too → '
        'Write the address of "neuf-srv"',
    ]


def test_a_copy_that_keeps_the_repository(inventory: Inventory) -> None:
    own = "        prosecours_repository_url: rest:https://Sauvegarde:8000/\n"
    for name in ("lac", "moulin"):
        inventory.edit(
            f"clients/{name}.yml", ("        prosecours_client_name", f"{own}        prosecours_client_name")
        )
    errors = inventory.errors()
    assert [error.split(":")[1].split(" ", 1)[1] for error in errors] == [
        "gaec_du_moulin prosecours_repository_url",
    ]


@pytest.mark.parametrize("name", ["repository_password", "encryption_password"])
def test_no_two_servers_have_the_same_password(inventory: Inventory, name: str) -> None:
    """Neither of one client nor of two; and no password is shown."""
    own = f"          prosecours_{name}: S3cret-that-was-copied\n"
    for file, host in (("moulin", "moulin-srv1"), ("moulin", "moulin-sql"), ("lac", "lac-srv")):
        inventory.edit(f"clients/{file}.yml", (f"        {host}:\n", f"        {host}:\n{own}"))
    errors = inventory.errors()
    assert [error.partition(" →")[0] for error in errors] == [
        f'moulin.yml:23 moulin-srv1 prosecours_{name}: it is that of the server "lac-srv" too',
        f'moulin.yml:32 moulin-sql prosecours_{name}: it is that of the server "lac-srv" too',
    ]
    assert "S3cret" not in "".join(errors)


@pytest.mark.parametrize("host", ["data", "locks", "config"])
def test_the_name_of_a_server_is_that_of_its_repository(inventory: Inventory, host: str) -> None:
    inventory.edit("clients/lac.yml", ("        lac-srv:\n", f'        "{host}":\n'))
    [error] = inventory.errors()
    assert f'"{host}" cannot be the name of a repository' in error


def test_only_a_key_of_a_bucket_has_another_name_than_its_server(inventory: Inventory) -> None:
    inventory.edit(
        "clients/lac.yml",
        ("        lac-srv:\n", "        lac-srv:\n          prosecours_repository_username: lac\n"),
    )
    [error] = inventory.errors()
    assert "lac-srv prosecours_repository_username: a server signs in by its name in the inventory" in error
    url = "        prosecours_repository_url: s3:https://s3.example/lac\n"
    inventory.edit("clients/lac.yml", ("      hosts:\n", f"{url}      hosts:\n"))
    assert inventory.errors() == []
    assert inventory.check().hosts["lac-srv"]["repository"] == "s3:https://s3.example/lac/lac-srv"
    inventory.edit("clients/lac.yml", ("          prosecours_repository_username: lac\n", ""))
    [error] = inventory.errors()
    assert "lac-srv prosecours_repository_username: it is missing" in error


def test_no_client_at_all(tmp_path: Path) -> None:
    found = contract.load([tmp_path], tmp_path, Path.read_text, {})
    assert [error.problem for error in found.errors] == ["the inventory describes no client"]


def test_a_server_outside_the_client_files(inventory: Inventory) -> None:
    resolved = {**inventory.resolved({}), "autre": contract.Resolved({}, {})}
    found = contract.load([inventory.folder], inventory.folder, Path.read_text, resolved)
    assert [(error.who, error.problem) for error in found.errors] == [
        ("autre", "no client file describes this server")
    ]


def test_group_vars_that_win_over_a_client_file(inventory: Inventory) -> None:
    inventory.write("group_vars/all.yml", "prosecours_subscribed_gb: 10\n")
    assert (
        "lac.yml:7 ferme_du_lac prosecours_subscribed_gb: the line has no effect: group_vars/all.yml (line 1)"
        in "".join(inventory.errors())
    )


# -- layers 2 and 3: types and values -------------------------------------------------------------------

WRONG: list[tuple[tuple[str, str], str]] = [
    (("prosecours_subscribed_gb: 200", "prosecours_subscribed_gb: 0"), "7 gaec_du_moulin prosecours_subscribed_gb: 0 is less than 1"),
    (("prosecours_subscribed_gb: 200", "prosecours_subscribed_gb: 1.5"), "1.5 is a number, not a whole number"),
    (("prosecours_subscribed_gb: 200", "prosecours_subscribed_gb: '200'"), "Write the number without quotes"),
    (("prosecours_subscribed_gb: 200", "prosecours_subscribed_gb: true"), "true is a yes or no, not a whole number"),
    (("prosecours_subscribed_gb: 200", "prosecours_subscribed_gb:"), "7 gaec_du_moulin prosecours_subscribed_gb: it is missing, or has no value"),
    (("        prosecours_subscribed_gb: 200\n", ""), "3 gaec_du_moulin prosecours_subscribed_gb: it is missing"),
    (("prosecours_subscribed_gb", "prosecours_suscribed_gb"), 'no such variable → Did you mean "prosecours_subscribed_gb"?'),
    (("prosecours_subscribed_gb", "subscribed_gb"), 'no such variable → Did you mean "prosecours_subscribed_gb"?'),
    (("prosecours_subscribed_gb", "Prosecours-subscribed-gb"), 'no such variable → Did you mean "prosecours_subscribed_gb"?'),
    ((SRV1, f"        prosecours_agent_attempts: trois\n{SRV1}"), 'gaec_du_moulin prosecours_agent_attempts: "trois" is text, not a whole number → Write a whole number'),
    ((SRV1, f"        prosecours_agent_first_backup: nuit\n{SRV1}"), 'gaec_du_moulin prosecours_agent_first_backup: "nuit" is unknown → '),
    ((SRV1, f"        prosecours_agent_folder: [x]\n{SRV1}"), "prosecours_agent_folder: this is a list, not text"),
    ((SRV1, f"        prosecours_monitor_pdf: peut-être\n{SRV1}"), '"peut-être" is text, not a yes or no'),
    (("[import]", "[imports]"), '8 gaec_du_moulin prosecours_options, entry 1: "imports" is unknown → Did you mean "import"?'),
    (("[import]", "import"), '"import" is text, not a list → Write one line for each entry'),
    (("[import]", "[import, import]"), '"import" is in the list twice'),
    (("email: elodie@moulin.example", "email: elodie.moulin.example"), "13 gaec_du_moulin prosecours_contact_main.email: "),
    (("email: elodie@moulin.example", "email: elodie@moulin"), "is no e-mail address"),
    (("email: elodie@moulin.example", "email: élodie @moulin.example"), "is no e-mail address"),
    (("          email: elodie@moulin.example\n", ""), '"email" is missing → Add email: E-mail address'),
    (("email: elodie@moulin.example", "mail: elodie@moulin.example"), '13 gaec_du_moulin prosecours_contact_main.mail: no such field → Did you mean "email"?'),
    (("title: Mme", "title:"), "prosecours_contact_main.title: it has no value"),
    (('"06 12 34 56 78"', '"03 44 06 41 14"'), "is not the number of a mobile telephone"),
    (('"06 12 34 56 78"', '"06 12 34 56"'), "does not have the digits"),
    (('"06 12 34 56 78"', "portable"), "is no telephone number"),
    (('"06 12 34 56 78"', "0612345670"), "a whole number, not text → Write it in quotes"),
    (("Gaëtan", "élodie"), "the substitute is the main contact"),
    ((SRV1, f"        prosecours_retention_daily: 6\n{SRV1}"), "6 is less than 7 → The contract promises 7 days (C7)"),
    ((SRV1, f"        prosecours_retention_weekly: 1\n{SRV1}"), "The contract promises 2 weeks (C7)"),
    ((SRV1, f"        prosecours_backup_time: 22:30\n{SRV1}"), "22:30 is the number 1350 in YAML → Write \"22:30\", with the quotes"),
    ((SRV1, f"        prosecours_backup_time: '24:00'\n{SRV1}"), '"24:00" is not of the expected form'),
    ((SRV1, f"        prosecours_backup_spread_minutes: -1\n{SRV1}"), "-1 is less than 0"),
    ((SRV1, f"        prosecours_dump_days: 366\n{SRV1}"), "366 is more than 365 → Write days, from 0 to 365"),
    ((SRV1, f"        prosecours_uplink_mbit: 0\n{SRV1}"), "0 is not more than 0"),
    ((SRV1, f"        prosecours_repository_url: http://x/y/\n{SRV1}"), "prosecours_repository_url: the value is not of the expected form"),
    ((SRV1, f"        prosecours_repository_url: rest:https://x:8042/other/\n{SRV1}"), "prosecours_repository_url: the value is not of the expected form"),
    ((SRV1, f"        prosecours_repository_url: rest:https://x:8042/../\n{SRV1}"), "prosecours_repository_url: the value is not of the expected form"),
    ((SRV1, f"        prosecours_repository_username: 'a:b'\n{SRV1}"), "without spaces or colons"),
    ((SRV1, f"        prosecours_encryption_password: court\n{SRV1}"), "Use 12 characters or more"),
    ((SRV1, f"        prosecours_repository_ca: /etc/ca.pem\n{SRV1}"), "Give the text of the PEM file"),
    ((f"{SRV1}          ansible_host: 127.0.1.11\n          prosecours_root: D:\\", f"{SRV1}          ansible_host: 127.0.1.11\n          prosecours_root: D"), "Write D:\\"),
    ((f"{SRV1}          ansible_host: 127.0.1.11\n          prosecours_root: D:\\", f"{SRV1}          ansible_host: 127.0.1.11\n          prosecours_root: 'd:'"), "Write D:\\"),
    (("- D:\\Bureautique", "- Bureautique"), '29 moulin-srv1 prosecours_office, entry 1: "Bureautique" is relative'),
    (("- D:\\Bureautique", "- \\\\srv\\partage"), "UNC"),
    (("- D:\\Bureautique", '- "D:\\bureau"'), "Write the path without quotes"),
    (("- D:\\Bureautique", "- D:\\%USERNAME%"), "environment variable"),
    (("- D:\\Bureautique", "- D:\\isagiwf"), "29 moulin-srv1 prosecours_office, entry 1: D:\\isagiwf\\backup lies inside D:\\isagiwf"),
    (("- isagiwf_giw", "- isagiwf_gi"), '27 moulin-srv1 prosecours_software, entry 2: the box "isagiwf_gi" is unknown'),
    (("          prosecours_office:\n", "          prosecours_excludes: ['*']\n          prosecours_office:\n"), '"*" excludes everything'),
    (("          prosecours_office:\n", "          prosecours_subscribed_gb: 100\n          prosecours_office:\n"), 'it differs from that of "moulin-srv1"'),
    (("ansible_host: 127.0.1.12", "ansible_host: 10.1.2.311"), 'moulin-sql ansible_host: "10.1.2.311" is no IP address → Write four numbers'),
    (("ansible_host: 127.0.1.12", "ansible_host: https://moulin-sql"), '"https://moulin-sql" is no address'),
    (("ansible_host: 127.0.1.12", "ansible_host: 127.0.1.12\n          ansible_port: 80500"), 'moulin-sql ansible_port: 80500 is no port'),
    (("          ansible_host: 127.0.1.12\n", ""), 'moulin-sql ansible_host: it is missing'),
    (('"06 12 34 56 78"', '"06 12 34 56 7"'), "does not have the digits"),
    (("GAEC du Moulin", "«\u00a0GAEC du Moulin\u00a0»"), 'prosecours_client_name: the quotation marks « » are part of it: YAML knows only " and \' → Write "GAEC du Moulin"'),
    (("GAEC du Moulin", '"GAEC du Moulin\u202f"'), 'ends with a no-break space or a tab → Write "GAEC du Moulin"'),
    (("Élodie", '" Élodie"'), '11 gaec_du_moulin prosecours_contact_main.first_name: it begins or ends with a space → Write "Élodie"'),
    (("- D:\\Bureautique", "- D:\\E\u0301levage"), "prosecours_office, entry 1: its accents are letters of their own"),
    (("127.0.1.12", "127.0.1.11"), '127.0.1.11:5986 is the address of the server "moulin-srv1" too'),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words[:50] for _, words in WRONG])
def test_one_mistake_is_one_error_with_its_place(
    inventory: Inventory, change: tuple[str, str], words: str
) -> None:
    inventory.edit("clients/moulin.yml", change)
    errors = inventory.errors()
    assert any(words in error for error in errors), errors
    # A box that is unknown leaves the variants alone; a misspelt required variable is missing as well.
    assert len(errors) <= 2
    assert all(error.startswith("moulin.yml:") for error in errors)


@pytest.mark.parametrize(
    "number",
    ["0612345678", "07.82.34.56.78", "+33 6 12 34 56 78", "0033 7 82 34 56 78", "+33 (0)6 12 34 56 78",
     "+590 690 12 34 56", "+262 692 12 34 56", "+32 470 12 34 56", "07 12 34 56 78"],
)  # fmt: skip
def test_mobile_numbers(inventory: Inventory, number: str) -> None:
    inventory.edit("clients/moulin.yml", ("06 12 34 56 78", number))
    assert inventory.errors() == []


@pytest.mark.parametrize(
    "line",
    ["agent_attempts: '5'", "monitor_pdf: 'yes'", "report_again: 'False'", "agent_folder:", "reason: 7"],
)
def test_a_roles_variable_may_be_what_ansible_makes_a_value_of(inventory: Inventory, line: str) -> None:
    """As `-e name=value` hands it over: a text."""
    inventory.edit("clients/moulin.yml", (SRV1, f"        prosecours_{line}\n{SRV1}"))
    assert inventory.errors() == []


def test_optional_variables_without_value_are_not_given(inventory: Inventory) -> None:
    inventory.edit("clients/moulin.yml", ("prosecours_options: [import]", "prosecours_options:"))
    assert inventory.errors() == []
    assert inventory.check().hosts["moulin-srv1"]["options"] == []


def test_variables_that_cannot_be_computed(inventory: Inventory) -> None:
    errors = inventory.errors(
        **{
            "lac-srv": {
                "prosecours_root": "'disque' is undefined",
                "prosecours_encryption_password": "Attempting to decrypt but no vault secrets found.",
            }
        }
    )
    assert errors == [
        "lac.yml:15 lac-srv prosecours_encryption_password: Ansible cannot compute it: Attempting to decrypt but no "
        "vault secrets found. → Give the vault's password with --ask-vault-pass or --vault-password-file",
        "lac.yml:15 lac-srv prosecours_root: Ansible cannot compute it: 'disque' is undefined → "
        "Define the variable that it names, or correct its name",
    ]


# -- all at once ----------------------------------------------------------------------------------------


def test_all_errors_of_all_clients_at_once(inventory: Inventory) -> None:
    inventory.edit(
        "clients/moulin.yml", ("200", "0"), ("- isagiwf_giw", "- isagiwf_gwi"), ("elodie@", "elodie")
    )
    inventory.edit("clients/lac.yml", ("D:\\Commun", "Commun"), ("M.", "[]"))
    inventory.write("clients/casse.yml", 'a: "\\i"\n')
    assert [error.split(": ")[0] for error in inventory.errors()] == [
        "casse.yml:1  ",
        "lac.yml:9 ferme_du_lac prosecours_contact_main.title",
        "lac.yml:18 lac-srv prosecours_office, entry 1",
        "moulin.yml:7 gaec_du_moulin prosecours_subscribed_gb",
        "moulin.yml:13 gaec_du_moulin prosecours_contact_main.email",
        "moulin.yml:27 moulin-srv1 prosecours_software, entry 2",
    ]
    found = inventory.check()
    assert (found.clients, found.hosts) == ({}, {})


def test_the_list_that_people_read(inventory: Inventory) -> None:
    inventory.edit("clients/moulin.yml", ("200", "0"))
    inventory.edit("clients/lac.yml", ("D:\\Commun", "Commun"))
    errors = inventory.check().errors
    assert contract_errors.summary(errors) == "2 errors in 2 files of the inventory"
    assert contract_errors.listing(errors, inventory.folder) == (
        "clients/lac.yml\n"
        "  line 18 · lac-srv · prosecours_office, entry 1\n"
        '      "Commun" is relative.\n'
        "      → Begin with the drive, like D:\\Data.\n"
        "\n"
        "clients/moulin.yml\n"
        "  line 7 · gaec_du_moulin · prosecours_subscribed_gb\n"
        "      0 is less than 1.\n"
        "      → Write the volume of Annexe 1 in whole GB, for example 200.\n"
    )


# -- the schema is also what editors use, and what the guide describes ----------------------------------


def test_the_schema_takes_the_files_and_templates() -> None:
    schema = Draft202012Validator(json.loads(variables.SCHEMA.read_text("utf-8")))
    for path in sorted(COLLECTION.glob("inventories/*/clients/*.yml")):
        assert not list(schema.iter_errors(yaml.safe_load(path.read_text("utf-8")))), path
    schema.validate(yaml.safe_load(MOULIN.replace(": 200", ': "{{ volume }}"')))
    for old, new in ((": 200", ": '200'"), ("_name", "_nam"), ("vars:", "var:"), ("[import]", "[imports]")):
        assert list(schema.iter_errors(yaml.safe_load(MOULIN.replace(old, new, 1)))), new


def test_the_guide_describes_the_variables_of_the_schema() -> None:
    guide = (COLLECTION / "docs" / "fr" / "inventaire.md").read_text("utf-8")
    assert [name for name in variables.variables() if f"`{name}`" not in guide] == []


# -- what is allowed and rarely meant -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "warned"),
    [("23:44", False), ("23:45", True), ("00:00", True), ("00:15", True), ("00:16", False)],
)
def test_a_start_near_midnight_is_warned_of_with_its_place(
    inventory: Inventory, time: str, warned: bool
) -> None:
    """Two nights in one calendar day: a warning, for a technician may have a reason."""
    text = f"        prosecours_backup_time: '{time}'\n        prosecours_backup_spread_minutes: 0\n{SRV1}"
    inventory.edit("clients/moulin.yml", (SRV1, text))
    found = inventory.check()
    assert not found.errors
    said = [contract_errors.sentence(one, inventory.folder) for one in found.warnings]
    assert said == (
        [
            "clients/moulin.yml, line 21, gaec_du_moulin, prosecours_backup_time: Its backups start at "
            f"{time}: two nights can fall on one day, and none on another. Choose a time and a spread that "
            "give no start between 23:45 and 00:15."
        ]
        if warned
        else []
    )
