"""Annexe 1: the boxes as printed, the directories they stand for, and contradictions (C1)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.plugin_utils.contract import catalogue, variables

# Annexe 1, part A, line by line. (Two lines of the print have a space after "<racine>\"; no directory has.)
PRINTED = r"""
<racine>\isa_sauvegarde_dossier
<racine>\isagiwf\backup ou <racine>\isabackup (serveur SQL dédié)
<racine>\isagiwf\Bxxxx.GIW
<racine>\isagdwf\ ou <racine>\GED si ancienne GED
<racine>\isacowp.gi
<racine>\isagiwp
<racine>\isagdwp\batch
<racine>\isaflux\backup et i:\isasuwf\backup si SQL Express
<racine>\isaeditiers
<racine>\isabanq
<racine>\logiciel (si bases découpées)
<racine>\isapawp
<racine>\isapawf si pas dans isapawp
""".strip().splitlines()

ALL_BOXES = list(catalogue.annexe_1().boxes)
EXTRA = {"id": "isanew", "printed": r"<racine>\isanew", "paths": [{"path": r"<racine>\isanew"}]}


def perimeter(**given: Any) -> tuple[list[str], list[str]]:
    """(paths, problems) of a server with these variables, without prosecours_ before their names."""
    values, findings = variables.check({f"prosecours_{name}": value for name, value in given.items()})
    assert not findings
    entries, findings = catalogue.perimeter(values)
    return [entry.path for entry in entries], [
        f"{finding.problem} → {finding.remedy}" for finding in findings
    ]


def test_the_boxes_are_those_of_the_annex() -> None:
    assert [box.printed for box in catalogue.annexe_1().boxes.values()] == PRINTED


def test_the_schema_completes_the_same_names() -> None:
    definitions = json.loads(variables.SCHEMA.read_text("utf-8"))["$defs"]
    for name, known in (("software", ALL_BOXES), ("variants", list(catalogue.annexe_1().variants))):
        assert definitions[f"prosecours_{name}"]["items"]["anyOf"][0]["enum"] == known


@pytest.mark.parametrize(
    ("box", "variants", "expected"),
    [
        ("isa_sauvegarde_dossier", [], [r"D:\isa_sauvegarde_dossier"]),
        ("isagiwf_backup", [], [r"D:\isagiwf\backup"]),
        ("isagiwf_backup", ["dedicated_sql_server"], [r"D:\isabackup"]),
        ("isagiwf_giw", [], [r"D:\isagiwf\B????.GIW"]),
        ("isagdwf", [], [r"D:\isagdwf"]),
        ("isagdwf", ["old_document_store"], [r"D:\GED"]),
        ("isacowp_gi", [], [r"D:\isacowp.gi"]),
        ("isagiwp", [], [r"D:\isagiwp"]),
        ("isagdwp_batch", [], [r"D:\isagdwp\batch"]),
        ("isaflux_backup", [], [r"D:\isaflux\backup"]),
        ("isaflux_backup", ["sql_express"], [r"D:\isaflux\backup", r"I:\isasuwf\backup"]),
        ("isaeditiers", [], [r"D:\isaeditiers"]),
        ("isabanq", [], [r"D:\isabanq"]),
        ("logiciel", ["split_databases"], [r"D:\logiciel"]),
        ("isapawp", [], [r"D:\isapawp"]),
        ("isapawf", ["isapawf_outside_isapawp"], [r"D:\isapawf"]),
    ],
)
def test_a_box_stands_for_directories(box: str, variants: list[str], expected: list[str]) -> None:
    assert perimeter(root="D:\\", software=[box], variants=variants) == (expected, [])


def test_all_boxes_together_do_not_overlap_and_keep_the_order_of_the_annex() -> None:
    variants = ["sql_express", "split_databases", "isapawf_outside_isapawp"]
    paths, problems = perimeter(root="d:/", software=ALL_BOXES[::-1], variants=variants)
    assert problems == []
    assert paths[0] == r"D:\isa_sauvegarde_dossier"
    assert paths[-1] == r"D:\isapawf"
    assert len(paths) == 14


def test_the_root_may_be_a_directory() -> None:
    assert perimeter(root="I:\\Isagri", software=["isabanq"]) == ([r"I:\Isagri\isabanq"], [])


def test_office_directories_need_no_root() -> None:
    assert perimeter(office=["d:/Bureautique/"]) == ([r"D:\Bureautique"], [])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"root": "D:\\", "software": ["isagdfw"]}, 'unknown → Did you mean "isagdwf"'),
        ({"root": "D:\\", "software": ["zzz"]}, "Write one of: isa_sauvegarde_dossier"),
        ({"root": "D:\\", "software": ["isabanq"], "variants": ["sqlexpress"]}, 'Did you mean "sql_express"'),
        ({"software": ["isabanq"]}, "<racine> is missing, and below it lies isabanq"),
        ({}, "nothing is backed up"),
        ({"root": "D:\\", "software": ["logiciel"]}, 'the variant "split_databases" (bases découpées)'),
        ({"root": "D:\\", "software": ["isapawf"]}, 'only with the variant "isapawf_outside_isapawp"'),
        (
            {"root": "D:\\", "software": ["isagiwf_backup", "isaflux_backup"],
             "variants": ["dedicated_sql_server", "sql_express"]},
            '"sql_express" and "dedicated_sql_server" cannot both be true',
        ),
        ({"root": "D:\\", "software": ["isabanq"], "variants": ["old_document_store"]}, "changes nothing"),
        ({"office": [r"D:\Ferme", r"d:\FERME"]}, "twice, also as entry 1 of prosecours_office"),
        ({"office": [r"D:\Ferme", r"D:\Ferme\Photos"]}, r"D:\Ferme\Photos lies inside D:\Ferme"),
        ({"office": [r"D:\Ferme\Photos", r"D:\Ferme"]}, r"D:\Ferme\Photos lies inside D:\Ferme"),
        ({"root": "D:\\", "software": ["isabanq"], "office": [r"D:\isabanq\x"]}, 'by the box "isabanq"'),
        ({"root": "D:\\", "software": ["isagiwf_giw"], "office": [r"D:\isagiwf"]}, r"B????.GIW lies inside"),
        ({"root": "D:\\", "software": ["isagiwf_giw"], "office": [r"D:\isagiwf\B0001.GIW"]}, "lies inside"),
    ],
)  # fmt: skip
def test_contradictions_are_named(given: dict[str, Any], words: str) -> None:
    _, problems = perimeter(**given)
    assert len(problems) == 1, problems
    assert words in problems[0]


def test_the_inventory_extends_the_catalogue() -> None:
    extra = [
        EXTRA,
        {
            "id": "isasql",
            "printed": "…",
            "requires": "sql_express",
            "paths": [
                {"path": r"E:\fixe"},
                {"path": r"<racine>\isasql\S*.BAK", "kind": "pattern", "unless": "old_document_store"},
            ],
        },
    ]
    paths, problems = perimeter(
        root="D:\\", software=["isasql", "isanew"], variants=["sql_express"], catalogue_extra=extra
    )
    assert (paths, problems) == ([r"D:\isanew", r"E:\fixe", r"D:\isasql\S*.BAK"], [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "isabanq"}, 'the box "isabanq" exists already'),
        ({"requires": "sqlexpress"}, 'Did you mean "sql_express"'),
        ({"paths": [{"path": r"<racine>\isanew", "when": "nothing_like_it"}]}, "is unknown"),
        ({"paths": [{"path": r"<racine>isanew"}]}, "relative"),
        ({"paths": [{"path": r"<racine>\isa?"}]}, "without wildcards"),
        ({"paths": [{"path": r"<racine>\isabanq\sub"}]}, r"D:\isabanq\sub lies inside D:\isabanq"),
    ],
)
def test_errors_of_added_boxes(change: dict[str, Any], words: str) -> None:
    box = {**EXTRA, **change}
    _, problems = perimeter(root="D:\\", software=["isabanq", "isanew"], catalogue_extra=[box])
    assert any(words in problem for problem in problems), problems


def test_every_rule_of_the_catalogue_names_a_variant_it_has() -> None:
    known = catalogue.annexe_1()
    used = {name for box in known.boxes.values() for name in box.variants}
    assert used == set(known.variants)
    assert {name for variant in known.variants.values() for name in variant.excludes} <= used
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in [*known.boxes, *used])


def test_the_french_page_has_every_variable_box_and_variant() -> None:
    page = (variables.SCHEMA.parents[1] / "docs" / "fr" / "inventaire.md").read_text("utf-8")
    names = [*variables.variables(), *ALL_BOXES, *catalogue.annexe_1().variants]
    assert [name for name in names if f"`{name}`" not in page] == []
