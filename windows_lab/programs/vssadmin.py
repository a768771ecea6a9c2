"""vssadmin.exe, as far as it lists the writers of VSS, each with the number of its state.

The layout is that of outputs which users of English servers published ("State: [8] Failed"), names and
classes of the writers are those of "In-Box VSS Writers" (Microsoft Learn), the numbers those of vss.h
(VSS_WRITER_STATE). The French words are from memory.
"""

from __future__ import annotations

import uuid

from windows_lab.machine.call import Call, Gone

STABLE, FAILED = 1, range(6, 16)
WRITERS = {
    "Task Scheduler Writer": "d61d61c8-d73a-4eee-8cdd-f6f9786b7124",
    "VSS Metadata Store Writer": "75dfb225-e2e4-4d39-9ac9-ffaff65ddf06",
    "Performance Counters Writer": "0bada1de-01a9-4625-8278-69e735f39dd2",
    "System Writer": "e8132975-6f93-4464-a53e-1050253ae220",
    "ASR Writer": "be000cbe-11fe-4426-9c58-531aa6355fc4",
    "Shadow Copy Optimization Writer": "4dc3bdd4-ab48-4d07-adb0-3bee2926fd7f",
    "Registry Writer": "afbab4a2-367d-4d15-a586-71dbb18f8485",
    "COM+ REGDB Writer": "542da469-d3e1-473c-9f4f-7847f01fc64f",
    "WMI Writer": "a6ad56c2-b509-4e6c-bb19-49d8f43532f0",
}
"""Of every server: name -> class."""
_WAITING = {
    2: "En attente pour figer",
    3: "Gelé",
    4: "Attente de la fin des clichés instantanés",
    5: "En attente de la conclusion",
}


def main(call: Call) -> int:
    """vssadmin list writers"""
    if [argument.lower() for argument in call.arguments] != ["list", "writers"]:
        call.not_modelled("only list writers")
    call.out(
        "vssadmin 1.1 - Outil ligne de commande d’administration du service de cliché instantané de volume\n"
        "(C) Copyright 2001-2013 Microsoft Corp.\n\n"
    )
    if call.host.vss_hangs:
        _hang(call)
    if call.host.shadow_copies == "off":
        call.out("Erreur : échec inattendu : le service ne peut pas être démarré.\n\n")
        return 2
    for name, state in {**dict.fromkeys(WRITERS, STABLE), **call.host.vss_writers}.items():
        own = uuid.uuid5(uuid.NAMESPACE_DNS, f"{call.host.name} {name}")
        kind = WRITERS.get(name) or uuid.uuid5(uuid.NAMESPACE_DNS, name)
        failed = state in FAILED
        words = "Échec" if failed else "Stable" if state == STABLE else _WAITING.get(state, "Inconnu")
        call.out(
            f"Nom du rédacteur : '{name}'\n"
            f"   ID du rédacteur : {{{kind}}}\n"
            f"   ID d’instance du rédacteur : {{{own}}}\n"
            f"   État : [{state}] {words}\n"
            f"   Dernière erreur : {'Délai dépassé' if failed else 'Aucune erreur'}\n\n"
        )
    return 0


def _hang(call: Call) -> None:
    """As long as its process is there, as it does while a writer does not answer."""
    call.connection.settimeout(None)
    call.connection.recv(1)  # nothing comes: the end of the connection is that of the process
    raise Gone


PROGRAMS = {"vssadmin": main}
