"""schtasks.exe: tasks from XML files, their state and their start."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from windows_lab.machine.call import Call
from windows_lab.machine.drives import NoSuchDrive
from windows_lab.machine.scheduler import Refused, Scheduler
from windows_lab.machine.task_xml import LOCAL, BadTask, read

_NOT_FOUND = "Le fichier spécifié est introuvable."
# Verb -> flags with a value, flags without.
_FLAGS = {
    "/create": ({"/tn", "/xml"}, {"/f"}),
    "/query": ({"/tn", "/fo"}, {"/xml", "/nh"}),
    "/run": ({"/tn"}, set()),
    "/end": ({"/tn"}, set()),
    "/change": ({"/tn"}, {"/enable", "/disable"}),
    "/delete": ({"/tn"}, {"/f"}),
}


def main(call: Call) -> int:
    """schtasks /create /tn N /xml F [/f] | /query [/tn N] (/xml | /fo csv [/nh]) | /run /tn N | /end /tn N |
    /change /tn N /enable|/disable | /delete /tn N /f; the exit code is 0 or 1."""
    verb = (call.arguments or [""])[0].lower()
    if verb not in _FLAGS:
        call.not_modelled(f"the verb {verb or 'nothing'}")
    with_value, alone = _FLAGS[verb]
    options: dict[str, str] = {}
    rest = iter(call.arguments[1:])
    for argument in rest:
        flag = argument.lower()
        if flag in options or flag not in with_value | alone:
            call.not_modelled(f"the flag {argument} of {verb}")
        options[flag] = next(rest, "") if flag in with_value else "1"
        if not options[flag]:
            return _error(call, f"syntaxe incorrecte. Valeur attendue pour « {flag} ».")
    scheduler = call.host.scheduler
    if verb == "/create":
        return _create(call, scheduler, options)
    if verb == "/query":
        return _query(call, scheduler, options)
    name = scheduler.find(options.get("/tn", ""))
    if name is None:
        return _error(call, _NOT_FOUND)
    return _act(call, scheduler, verb, name, options)


def _error(call: Call, text: str) -> int:
    call.err(f"ERREUR : {text}\n")
    return 1


def _done(call: Call, text: str) -> int:
    call.out(f"Opération réussie : {text}\n")
    return 0


def _create(call: Call, scheduler: Scheduler, options: dict[str, str]) -> int:
    if not {"/tn", "/xml"} <= options.keys():
        call.not_modelled("/create without /tn and /xml")
    name = options["/tn"]
    if any(letter in '/:*?"<>|' for letter in name) or not name.strip("\\"):
        return _error(call, "Le nom de tâche spécifié n’est pas valide.")
    try:
        data = call.path(options["/xml"]).read_bytes()
    except (OSError, NoSuchDrive):
        return _error(call, _NOT_FOUND)
    if scheduler.find(name) and "/f" not in options:
        call.err(f'AVERTISSEMENT : le nom de tâche "{name}" existe déjà. Voulez-vous le remplacer (O/N) ? ')
        return _error(call, "aucune réponse n’a été reçue.")
    try:
        root = read(data)
    except BadTask as problem:
        return _error(call, str(problem))
    scheduler.create(name, root)
    return _done(call, f'la tâche planifiée "{name}" a été créée.')


def _query(call: Call, scheduler: Scheduler, options: dict[str, str]) -> int:
    names = sorted(scheduler.tasks)
    if "/tn" in options:
        name = scheduler.find(options["/tn"])
        if name is None:
            return _error(call, _NOT_FOUND)
        names = [name]
    if "/xml" in options:
        if "/tn" not in options or len(options) > 2:
            call.not_modelled("/query /xml: only with /tn")
        # The program writes CR CR LF after the declaration, and the console's code page whatever it declares.
        xml = scheduler.tasks[names[0]].xml
        head, _, body = xml.partition("\n")
        call.out(head)
        call.write(b"\r\r\n")
        call.out(body + "\n")
        return 0
    if options.get("/fo", "").lower() != "csv":
        call.not_modelled("/query: only /xml or /fo csv")
    text = io.StringIO()
    rows = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    if "/nh" not in options:
        rows.writerow(("Nom de la tâche", "Prochaine exécution", "Statut"))
    running = scheduler.running()
    for name in names:
        state = (
            "En cours d’exécution"
            if name in running
            else "Prêt"
            if scheduler.tasks[name].enabled
            else "Désactivée"
        )
        rows.writerow((name, _local(scheduler.next_run(name)), state))
    call.out(text.getvalue())
    return 0


def _local(moment: datetime | None) -> str:
    return moment.astimezone(LOCAL).strftime("%d/%m/%Y %H:%M:%S") if moment else "N/A"


def _act(call: Call, scheduler: Scheduler, verb: str, name: str, options: dict[str, str]) -> int:
    if verb == "/run":
        try:
            scheduler.run(name)
        except Refused as problem:
            return _error(call, str(problem))
        return _done(call, f'tentative d’exécution de la tâche planifiée "{name}".')
    if verb == "/end":
        scheduler.end(name)
        return _done(call, f'la tâche planifiée "{name}" a été arrêtée.')
    if verb == "/change":
        if ("/enable" in options) == ("/disable" in options):
            call.not_modelled("/change: only /enable or /disable")
        scheduler.enable(name, "/enable" in options)
        return _done(call, f'les paramètres de la tâche planifiée "{name}" ont été modifiés.')
    if "/f" not in options:
        call.not_modelled("/delete without /f: it asks")
    scheduler.delete(name)
    return _done(call, f'la tâche planifiée "{name}" a été supprimée.')


PROGRAMS = {"schtasks": main}
