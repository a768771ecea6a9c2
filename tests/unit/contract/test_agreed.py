"""What of a contract is signed, its fingerprint, and what differs from a signed copy (C17, C21)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import agreed, signed
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract.model import (
    ClientContract,
    HostContract,
    contracts_of,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.validation.mistakes import sentence

from .conftest import Inventory

MOULIN = "clients/moulin.yml"
VOLUME = "prosecours_subscribed_gb: 200"
FINGERPRINT = "4f1d 08c2 77ab 3e90 61d5 f0a8 92bc 5e17"
SIGNED = """        prosecours_signed:
          fingerprint: "{}"
          date: '2026-11-27'
          signatory: Mme Élodie Lefèvre
"""


def contracts(inventory: Inventory) -> tuple[ClientContract, dict[str, HostContract]]:
    found = inventory.check()
    assert not found.errors, inventory.errors()
    clients = contracts_of(ClientContract, found.clients)
    return clients["gaec_du_moulin"], contracts_of(HostContract, found.hosts)


def of(inventory: Inventory) -> agreed.Agreed:
    return agreed.of_contract(*contracts(inventory))


def printed(inventory: Inventory) -> str:
    """The fingerprint of the annexes as documents.yml keeps their data."""
    now = of(inventory)
    digits = agreed.fingerprint(now)
    path = signed.kept_in(inventory.documents, "gaec_du_moulin", digits)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(agreed.text(now), "utf-8")
    return digits


def sign(inventory: Inventory, digits: str, name: str = MOULIN) -> None:
    volume = VOLUME if name == MOULIN else "prosecours_subscribed_gb: 20"
    inventory.edit(name, (f"{volume}\n", f"{volume}\n{SIGNED.format(digits)}"))


def warnings(inventory: Inventory) -> list[str]:
    found = inventory.check()
    assert not found.errors, inventory.errors()
    return [sentence(one, inventory.folder) for one in found.warnings]


# -- the fingerprint ------------------------------------------------------------------------------------

SRV1 = "            - isagiwf_backup\n            - isagiwf_giw\n"
CHANGES = {
    # what is edited: (old, new, the term and what it says before and after)
    "volume": (VOLUME, "prosecours_subscribed_gb: 250", "Volume souscrit: 200 Go → 250 Go"),
    "reference": ("PS-2026-0042", "PS-2026-0142", "Référence du contrat: PS-2026-0042 → PS-2026-0142"),
    "name": ("_name: GAEC du Moulin", "_name: EARL du Moulin", "Client: GAEC du Moulin → EARL du Moulin"),
    "option": (
        "[import]",
        "[]",
        "Option « Import des données sur support externe pour la première sauvegarde »: ☑ → ☐",
    ),
    "main contact": (
        "elodie@moulin.example",
        "e.lefevre@moulin.example",
        "Contact principal: Mme Élodie Lefèvre, elodie@moulin.example, 06 12 34 56 78"
        " → Mme Élodie Lefèvre, e.lefevre@moulin.example, 06 12 34 56 78",
    ),
    "a box": (
        SRV1,
        f"{SRV1}            - isapawp\n",
        r"moulin-srv1, <racine>\isapawp: ☐ → ☑ D:\isapawp",
    ),
    "an office directory": (
        "            - D:\\Bureautique\n",
        "            - D:\\Bureau\n",
        "moulin-srv1, bureautique D:\\Bureau: ☐ → ☑",
    ),
    "a variant": (
        "          prosecours_variants: [dedicated_sql_server]\n",
        "",
        r"moulin-sql, <racine>\isagiwf\backup ou <racine>\isabackup (serveur SQL dédié):"
        r" ☑ D:\isabackup → ☑ D:\isagiwf\backup",
    ),
    "a root": (
        "          prosecours_root: D:\\\n          prosecours_software: [",
        "          prosecours_root: E:\\\n          prosecours_software: [",
        r"moulin-sql, <racine>: D:\ → E:\ ".strip(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_signed_changes_the_fingerprint(inventory: Inventory, what: str) -> None:
    before = of(inventory)
    old, new, told = CHANGES[what]
    inventory.edit(MOULIN, (old, new))
    after = of(inventory)
    assert agreed.fingerprint(after) != agreed.fingerprint(before)
    assert told in [str(one) for one in agreed.differences(before, after)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("127.0.1.11", "127.0.1.21"),
        (f"{VOLUME}\n", f"{VOLUME}\n        prosecours_backup_time: '21:00'\n"),
        (f"{VOLUME}\n", f"{VOLUME}\n        prosecours_excludes: ['*.tmp']\n"),
        (f"{VOLUME}\n", f"{VOLUME}\n        prosecours_monthly_report: true\n"),
        (SRV1, "            - isagiwf_giw\n            - isagiwf_backup\n"),
        ("_root: D:\\\n          prosecours_software:\n", "_root: 'd:/'\n          prosecours_software:\n"),
    ],
)  # fmt: skip
def test_technical_variables_and_their_order_do_not(inventory: Inventory, old: str, new: str) -> None:
    before = of(inventory)
    inventory.edit(MOULIN, (old, new))
    assert agreed.fingerprint(of(inventory)) == agreed.fingerprint(before)


def test_a_server_more_is_a_term_more(inventory: Inventory) -> None:
    before = of(inventory)
    new = (
        "        moulin-new:\n          ansible_host: 127.0.1.19\n          prosecours_office: [E:\\Plans]\n"
    )
    inventory.edit(MOULIN, ("      hosts:\n", f"      hosts:\n{new}"))
    assert [str(one) for one in agreed.differences(before, of(inventory))] == [
        r"moulin-new, bureautique E:\Plans: ☐ → ☑"
    ]
    assert [str(one) for one in agreed.differences(of(inventory), before)] == [
        r"moulin-new, bureautique E:\Plans: ☑ → ☐"
    ]


def test_boxes_that_are_printed_alike_do_not_hide_each_other(inventory: Inventory) -> None:
    now = of(inventory)
    boxes = [agreed.Box(name, "autre", (f"D:\\{name}",)) for name in ("x", "y")]
    both, one = (
        replace(now, servers=(replace(now.servers[0], boxes=tuple(some)),)) for some in (boxes, boxes[1:])
    )
    assert [str(each) for each in agreed.differences(both, one)] == [
        "moulin-sql, autre: ☑ D:\\x; ☑ D:\\y → ☑ D:\\y"
    ]


def test_a_fingerprint_is_read_as_people_write_it(inventory: Inventory) -> None:
    digits = agreed.fingerprint(of(inventory))
    shown = agreed.shown(digits)
    assert [len(group) for group in shown.split()] == [4] * 8
    assert agreed.written(shown.upper()) == digits


def test_a_fingerprint_that_was_printed_stays(inventory: Inventory) -> None:
    """It is on paper: another way to compute it would make all signed copies unknown."""
    assert agreed.fingerprint(of(inventory)) == "a02cc71734687ddbb70c086674608756"


# -- against what was signed ----------------------------------------------------------------------------


def test_as_signed_nothing_is_said(inventory: Inventory) -> None:
    digits = printed(inventory)
    assert warnings(inventory) == []
    sign(inventory, agreed.shown(digits).upper())
    assert warnings(inventory) == []


def test_what_is_deployed_is_no_longer_what_was_signed(inventory: Inventory) -> None:
    sign(inventory, printed(inventory))
    inventory.edit(MOULIN, (VOLUME, "prosecours_subscribed_gb: 250"))
    assert warnings(inventory) == [
        "clients/moulin.yml, line 8, gaec_du_moulin, prosecours_signed: 1 term is no longer what Mme Élodie"
        " Lefèvre signed on 2026-11-27: Volume souscrit: 200 Go → 250 Go. Run playbooks/documents.yml, which"
        " prints the amendment (avenant) to sign; or correct the inventory."
    ]


def test_a_version_that_keeps_more_of_the_same_terms_says_nothing(inventory: Inventory) -> None:
    """What another version of the collection printed has another fingerprint."""
    data = json.loads(agreed.text(of(inventory)))
    data["agreed"]["edition"] = "2024"
    digits = agreed.fingerprint_of(data["agreed"])
    path = signed.kept_in(inventory.documents, "gaec_du_moulin", digits)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(data), "utf-8")
    sign(inventory, digits)
    assert warnings(inventory) == []
    inventory.edit(MOULIN, (VOLUME, "prosecours_subscribed_gb: 250"))
    assert len(warnings(inventory)) == 1


def test_many_differences_are_counted_and_the_first_told(inventory: Inventory) -> None:
    sign(inventory, printed(inventory))
    inventory.edit(MOULIN, (SRV1, "            - isapawp\n            - isabanq\n            - isagiwp\n"))
    (told,) = warnings(inventory)
    assert "5 terms are no longer" in told
    assert "; and 1 more" in told


def _altered(path: Path) -> None:
    path.write_text(path.read_text("utf-8").replace("200", "500"), "utf-8")


def _without(path: Path) -> None:
    path.write_text(json.dumps({"format": 1}), "utf-8")


FAULTS: dict[str, tuple[Any, str]] = {
    "gone": (Path.unlink, "were printed: there is no "),
    "cut off": (lambda path: path.write_text("{", "utf-8"), "is damaged: it holds no annexes"),
    "something else": (_without, "is damaged: it holds no annexes"),
    "altered": (_altered, "was altered: what it holds has another fingerprint than its name"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_signed_is_not_known(inventory: Inventory, fault: str) -> None:
    digits = printed(inventory)
    sign(inventory, digits)
    inventory.edit(MOULIN, (VOLUME, "prosecours_subscribed_gb: 250"))
    break_it, said = FAULTS[fault]
    break_it(signed.kept_in(inventory.documents, "gaec_du_moulin", digits))
    (told,) = warnings(inventory)
    assert said in told
    assert "Copy the fingerprint from the foot of the signed pages once more" in told


def test_an_annex_that_another_client_signed(inventory: Inventory) -> None:
    sign(inventory, printed(inventory), "clients/lac.yml")
    (told,) = warnings(inventory)
    assert "of 2026-11-27 are those of gaec_du_moulin. Copy" in told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (FINGERPRINT, "4f1d 08c2", "→ Copy the fingerprint from the foot of the signed pages, in quotes"),
        ('"4f1d 08c2', '"4g1d 08c2', "→ Copy the fingerprint from the foot of the signed pages, in quotes"),
        ("2026-11-27", "2026-11-31", '"2026-11-31" → Write it like 2026-11-27'),
        ("2026-11-27", "27/11/2026", "→ Write the day of the signature like 2026-11-27"),
        ("          signatory: Mme Élodie Lefèvre\n", "", "signatory"),
    ],
)
def test_a_signed_copy_that_is_written_wrongly(inventory: Inventory, old: str, new: str, said: str) -> None:
    sign(inventory, FINGERPRINT)
    inventory.edit(MOULIN, (old, new))
    (told,) = inventory.errors()
    assert "gaec_du_moulin prosecours_signed" in told
    assert said in told


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "{lines: [12 rue des Tilleuls], postal_code: 60190, city: Avrigny}",
            "60190 is a whole number, not text → Write it in quotes",
        ),
        ("{lines: [], postal_code: '60190', city: Avrigny}", "Write one or two lines of 38 characters"),
        (f"{{lines: ['{'x' * 39}'], postal_code: '60190', city: Avrigny}}", "38"),
        ("{lines: [12 rue des Tilleuls], city: Avrigny}", "postal_code"),
    ],
)
def test_an_address_that_is_none(inventory: Inventory, address: str, said: str) -> None:
    inventory.edit(MOULIN, (f"{VOLUME}\n", f"{VOLUME}\n        prosecours_postal_address: {address}\n"))
    (told,) = inventory.errors()
    assert said in told
