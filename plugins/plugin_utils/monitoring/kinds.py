"""What monitoring can find: one row a kind, with the words for technicians (English) and reports (French).

A kind says how bad it is, which clause it touches, whom it concerns and from which side it is seen: a finding
is closed only by a look at its side. Fields in braces are filled by `findings`; times and sizes come out as
each language writes them.
"""

from __future__ import annotations

from typing import NamedTuple

NOTICE, WARNING, CRITICAL = "notice", "warning", "critical"
SEVERITIES = (NOTICE, WARNING, CRITICAL)
"""From the least to the worst."""

ACCESS, SERVER, REPOSITORY, EITHER, PAPER = "access", "server", "repository", "either", "paper"
"""What a finding rests on: the attempt to log in, the server's answer, the repository host's, one of both, or
the contract's paper on this machine."""

APPLICATIONS, SYSTEMS = "applications", "systems"
CONCERNS = (APPLICATIONS, SYSTEMS)
"""Which of the provider's two contacts (Annexe 2, C17) a finding concerns: who looks after the client's
software, its data and what the client signed for, or who looks after servers, agents and repositories."""


class Kind(NamedTuple):
    """One row. `severity` is the usual one; a finding may be worse."""

    name: str
    side: str
    severity: str
    clause: str
    concern: str
    sentence: str
    remedy: str
    sentence_fr: str
    remedy_fr: str


_REPAIR = "Run playbooks/deploy.yml --limit {host}, which repairs it, and ask the client who did it"
_REPAIR_FR = "Lancer deploy.yml --limit {host}, qui répare, et demander au client qui en est l'auteur"
_ON_HOST = "Run playbooks/retention.yml and read what it says of {client}"
_ON_HOST_FR = "Lancer retention.yml et lire ce qui y est dit de {client}"

_ROWS = (
    # -- the way to the server --------------------------------------------------------------------------
    Kind(
        "unreachable", ACCESS, WARNING, "C2", SYSTEMS,
        "{host} does not answer: {problem}",
        "{remedy}",
        "Le serveur {host} ne répond pas",
        "Demander au client si le serveur et sa liaison sont en marche (annexe 3 : 1.x et 2.x)",
    ),
    Kind(
        "certificate_refused", ACCESS, WARNING, "C2", SYSTEMS,
        "{host} shows a certificate that is not trusted: {problem}",
        "{remedy}",
        "Le certificat WinRM du serveur {host} est refusé",
        "Voir s'il a été renouvelé, et renseigner l'autorité dans l'inventaire",
    ),
    Kind(
        "login_refused", ACCESS, CRITICAL, "C2", SYSTEMS,
        "{host} refuses the provider's login: {problem}",
        "{remedy}",
        "Le serveur {host} refuse le compte du prestataire",
        "Demander au client si le compte ou son mot de passe a changé ; ne pas réessayer à l'aveugle",
    ),
    Kind(
        "no_answer", ACCESS, WARNING, "C2", SYSTEMS,
        "{host} could not be looked at: {problem}",
        "{remedy}",
        "Le serveur {host} n'a pas pu être examiné",
        "Relancer la surveillance ; si le constat revient, regarder sur le serveur ce qui l'occupe",
    ),
    # -- the tool, as the client leaves it (C12) --------------------------------------------------------
    Kind(
        "agent_removed", SERVER, CRITICAL, "C12", SYSTEMS,
        "the agent's folder {name} is gone from {host}. {origin}",
        _REPAIR,
        "Le dossier de l'agent {name} a été supprimé de {host}. {origin}",
        _REPAIR_FR,
    ),
    Kind(
        "task_deleted", SERVER, CRITICAL, "C12", SYSTEMS,
        "the scheduled task {name} is gone from {host}: nothing is backed up. {origin}",
        _REPAIR,
        "La tâche planifiée {name} a été supprimée de {host} : plus rien n'est sauvegardé. {origin}",
        _REPAIR_FR,
    ),
    Kind(
        "task_disabled", SERVER, CRITICAL, "C12", SYSTEMS,
        "the scheduled task {name} of {host} is disabled: nothing is backed up. {origin}",
        _REPAIR,
        "La tâche planifiée {name} de {host} est désactivée : plus rien n'est sauvegardé. {origin}",
        _REPAIR_FR,
    ),
    Kind(
        "task_edited", SERVER, WARNING, "C12", SYSTEMS,
        "the scheduled task {name} of {host} was edited ({what}). {origin}",
        _REPAIR,
        "La tâche planifiée {name} de {host} a été modifiée. {origin}",
        _REPAIR_FR,
    ),
    Kind(
        "binary_changed", SERVER, CRITICAL, "C12", SYSTEMS,
        "{name} on {host} is {state}. {origin}",
        _REPAIR + ". See what the file is before: it may be hostile",
        "Le programme {name} de {host} est {state}. {origin}",
        _REPAIR_FR + ". Examiner d'abord le fichier : il peut être hostile",
    ),
    Kind(
        "configuration_changed", SERVER, CRITICAL, "C12", SYSTEMS,
        "the configuration file {name} of {host} is {state}. {origin}",
        _REPAIR,
        "Le fichier de configuration {name} de {host} est {state}. {origin}",
        _REPAIR_FR,
    ),
    Kind(
        "credentials_changed", SERVER, CRITICAL, "C12", SYSTEMS,
        "the repository's password in {name} of {host} is {state}: it is not the inventory's. {origin}",
        _REPAIR,
        "Le mot de passe du dépôt dans {name} de {host} est {state} : ce n'est pas celui de l'inventaire."
        " {origin}",
        _REPAIR_FR,
    ),
    Kind(
        "rights_opened", SERVER, CRITICAL, "C12", SYSTEMS,
        "others than SYSTEM and the Administrators may use the agent's folder of {host}, which holds"
        " passwords"
        " ({what}). {origin}",
        _REPAIR + "; change the repository's passwords if strangers could read them",
        "Les droits du dossier de l'agent de {host}, qui contient des mots de passe, ont été ouverts."
        " {origin}",
        _REPAIR_FR + " ; changer les mots de passe du dépôt si un tiers a pu les lire",
    ),
    Kind(
        "shadow_copies_off", SERVER, WARNING, "C12", SYSTEMS,
        "the Volume Shadow Copy service of {host} is disabled: open files are not backed up as one",
        "Have the client enable the service VSS (start type manual), then run playbooks/deploy.yml",
        "Le service des clichés instantanés (VSS) de {host} est désactivé : les fichiers ouverts sont copiés"
        " tels quels",
        "Faire rétablir le service VSS (démarrage manuel) par le client, puis lancer deploy.yml",
    ),
    Kind(
        "clock_moved", SERVER, WARNING, "C12", SYSTEMS,
        "the clock of {host} is {seconds} s {direction}: its backups carry false dates, and are set"
        " aside when"
        " they come from the future",
        "Have the server keep time by NTP (w32tm); then run playbooks/monitor.yml again",
        "L'horloge de {host} {direction} de {seconds} s : ses sauvegardes portent de fausses dates",
        "Faire régler le serveur par NTP (w32tm), puis relancer la surveillance",
    ),
    # -- the tool, as the provider leaves it (C11) ------------------------------------------------------
    Kind(
        "not_deployed", SERVER, WARNING, "C4", SYSTEMS,
        "{host} has no agent in {name}, and none was ever seen there",
        "Run playbooks/deploy.yml --limit {host}",
        "{host} n'a pas d'agent dans {name}, et n'en a jamais eu",
        "Lancer deploy.yml --limit {host}",
    ),
    Kind(
        "deploy_due", SERVER, NOTICE, "C11", SYSTEMS,
        "{name} on {host} is as it was deployed; the inventory or the collection asks for another one since",
        "Run playbooks/deploy.yml --limit {host}",
        "{name} de {host} est tel que déployé ; l'inventaire ou la collection a changé depuis",
        "Lancer deploy.yml --limit {host}",
    ),
    Kind(
        "deploy_interrupted", SERVER, NOTICE, "C11", SYSTEMS,
        "a deployment of {host} was interrupted and left {name}",
        "Run playbooks/deploy.yml --limit {host}",
        "Un déploiement de {host} a été interrompu et a laissé {name}",
        "Lancer deploy.yml --limit {host}",
    ),
    Kind(
        "disk_low", SERVER, WARNING, "C6", SYSTEMS,
        "{drive} of {host} has {free} left: logs, cache and shadow copies need room",
        "Have the client free some space on {drive}",
        "Il ne reste que {free} sur {drive} de {host} : journaux, cache et clichés instantanés en ont besoin",
        "Demander au client de libérer de la place sur {drive}",
    ),
    # -- the last backup --------------------------------------------------------------------------------
    Kind(
        "no_backup_yet", EITHER, NOTICE, "C6", SYSTEMS,
        "{host} has made no backup yet; the first one is due at {due}",
        "Nothing to do; or start it with playbooks/backup.yml --limit {host}",
        "{host} n'a encore fait aucune sauvegarde ; la première est prévue le {due}",
        "Rien à faire ; ou la lancer par backup.yml --limit {host}",
    ),
    Kind(
        "silent", EITHER, WARNING, "C6", SYSTEMS,
        "{host} has sent no backup since {last}: {missed} expected since, the last at {due}",
        "See the other findings of {host}, ask the client whether the server was off, then run"
        " playbooks/backup.yml --limit {host}",
        "{host} n'a envoyé aucune sauvegarde depuis le {last} (attendues depuis : {missed}, la dernière le"
        " {due})",
        "Voir les autres constats de {host}, demander au client si le serveur était éteint, puis lancer"
        " backup.yml --limit {host}",
    ),
    Kind(
        "incomplete", EITHER, WARNING, "C6", SYSTEMS,
        "the last backup of {host}, of {at}, is incomplete: part of the perimeter could not be read.{log}",
        "See which files are named in its log, close the program that holds them or correct their rights",
        "La dernière sauvegarde de {host}, du {at}, est incomplète : une partie du périmètre n'a pas pu être"
        " lue.{log}",
        "Voir dans son journal les fichiers nommés, fermer le logiciel qui les tient ou corriger leurs"
        " droits",
    ),
    Kind(
        "missing_directory", SERVER, WARNING, "C1", APPLICATIONS,
        "{path} is in the perimeter of {host} and was not there at the last backup, of {at}",
        "Ask the client; correct the client's file if the software has moved",
        "{path} fait partie du périmètre de {host} et n'existait pas lors de la dernière sauvegarde, du {at}",
        "Interroger le client ; corriger son fichier si le logiciel a été déplacé",
    ),
    Kind(
        "degraded", SERVER, WARNING, "C9", SYSTEMS,
        "the last backup of {host}, of {at}, was made without shadow copies: files that were open may not be"
        " whole in it.{log}",
        "On the server, see `vssadmin list writers` and the room for shadow copies; restart the writer at"
        " fault",
        "La dernière sauvegarde de {host}, du {at}, a été faite sans cliché instantané : les fichiers ouverts"
        " peuvent y être inutilisables.{log}",
        "Sur le serveur, voir « vssadmin list writers » et la place réservée aux clichés ; relancer le"
        " rédacteur en défaut",
    ),
    Kind(
        "locked", SERVER, WARNING, "C6", SYSTEMS,
        "the last backup of {host}, of {at}, was not made: the repository stayed locked (restic 11)",
        _ON_HOST + ", which lifts locks that are provably stale",
        "La dernière sauvegarde de {host}, du {at}, n'a pas eu lieu : le dépôt est resté verrouillé"
        " (restic 11)",
        _ON_HOST_FR + " : les verrous périmés y sont levés",
    ),
    Kind(
        "password_refused", SERVER, CRITICAL, "C12", SYSTEMS,
        "the repository refuses the encryption password of {host} (restic 12): no backup since {at}",
        "Run playbooks/deploy.yml --limit {host}; if it is refused too, somebody has removed the key: see"
        " `restic key list` on the repository host",
        "Le dépôt refuse le mot de passe de chiffrement de {host} (restic 12) : plus de sauvegarde depuis"
        " le {at}",
        "Lancer deploy.yml --limit {host} ; en cas de nouveau refus, la clé a été retirée : voir"
        " « restic key list » sur l'hôte du dépôt",
    ),
    Kind(
        "repository_gone", SERVER, CRITICAL, "C6", SYSTEMS,
        "{host} finds no repository at its address (restic 10): no backup since {at}",
        "See on the repository host that its disk is mounted; initialise nothing by hand",
        "{host} ne trouve pas de dépôt à son adresse (restic 10) : plus de sauvegarde depuis le {at}",
        "Vérifier sur l'hôte du dépôt que le disque est monté ; ne rien initialiser à la main",
    ),
    Kind(
        "login_to_repository_refused", SERVER, CRITICAL, "C12", SYSTEMS,
        "the repository refuses the login of {host} (HTTP 401): no backup since {at}",
        "Run playbooks/repository.yml, then playbooks/deploy.yml --limit {host}: both write the inventory's"
        " password",
        "Le dépôt refuse l'identifiant de {host} (HTTP 401) : plus de sauvegarde depuis le {at}",
        "Lancer repository.yml, puis deploy.yml --limit {host} : tous deux écrivent le mot de passe de"
        " l'inventaire",
    ),
    Kind(
        "repository_full", SERVER, CRITICAL, "C15", APPLICATIONS,
        "the repository takes no more data from {host} (HTTP 507): no backup since {at}",
        "Have a larger volume subscribed, raise prosecours_subscribed_gb and run playbooks/deploy.yml",
        "Le dépôt n'accepte plus de données de {host} (HTTP 507) : plus de sauvegarde depuis le {at}",
        "Faire souscrire un volume supérieur, le porter dans l'inventaire et lancer deploy.yml",
    ),
    Kind(
        "no_way_to_repository", SERVER, WARNING, "C14", SYSTEMS,
        "{host} could not reach the repository at its last backup, of {at}.{log}",
        "Check the client's link and firewall (its part, Annexe 3), and that the repository's instance runs",
        "{host} n'a pas pu joindre le dépôt lors de la dernière sauvegarde, du {at}.{log}",
        "Vérifier la liaison et le pare-feu du client (à sa charge, annexe 3) et que le service du"
        " dépôt tourne",
    ),
    Kind(
        "backup_failed", SERVER, CRITICAL, "C6", SYSTEMS,
        "the last backup of {host}, of {at}, failed: code {code}.{log}",
        "Read its log in the folder logs of the agent, then run playbooks/backup.yml --limit {host}",
        "La dernière sauvegarde de {host}, du {at}, a échoué : code {code}.{log}",
        "Lire son journal dans le dossier logs de l'agent, puis lancer backup.yml --limit {host}",
    ),
    # -- the repository ---------------------------------------------------------------------------------
    Kind(
        "repository_unread", ACCESS, CRITICAL, "C9", SYSTEMS,
        "the repository of {client} could not be looked at: {problem}",
        "See that its host runs and its disk is mounted, then run playbooks/status.yml",
        "Le dépôt de {client} n'a pas pu être examiné",
        "Vérifier que son hôte tourne et que son disque est monté, puis lancer status.yml",
    ),
    Kind(
        "promise_broken", REPOSITORY, CRITICAL, "C7", SYSTEMS,
        "the retention promised to {client} does not hold: {problems}",
        "See who removed versions on the repository host; nothing brings them back, so tell the client",
        "La conservation promise à {client} n'est plus tenue (détail : {problems})",
        "Chercher qui a supprimé des versions sur l'hôte du dépôt ; informer le client",
    ),
    Kind(
        "volume", REPOSITORY, NOTICE, "C15", APPLICATIONS,
        "{client} uses {percent} % of the subscribed volume ({used} of {subscribed})",
        "Talk with the client about a larger volume, or a smaller perimeter",
        "{client} occupe {percent} % du volume souscrit : {used} sur {subscribed}",
        "Proposer au client un volume supérieur ou un périmètre réduit",
    ),
    Kind(
        "volume_forecast", REPOSITORY, NOTICE, "C15", APPLICATIONS,
        "the volume of {client} will be full on {day} if it goes on growing as now",
        "Talk with the client about a larger volume before that day",
        "Au rythme actuel, le volume de {client} sera plein le {day}",
        "Proposer au client un volume supérieur avant cette date",
    ),
    Kind(
        "volume_closed", REPOSITORY, CRITICAL, "C15", APPLICATIONS,
        "new backups of {client} are refused: {used} are over the subscribed {subscribed}",
        "Have a larger volume subscribed, raise prosecours_subscribed_gb and run playbooks/deploy.yml, which"
        " lifts it",
        "Les nouvelles sauvegardes de {client} sont refusées : {used} dépassent les {subscribed} souscrits",
        "Faire souscrire un volume supérieur, le porter dans l'inventaire et lancer deploy.yml, qui rouvre le"
        " dépôt",
    ),
    Kind(
        "forged_time", REPOSITORY, WARNING, "C7", SYSTEMS,
        "snapshot {id} of {client} claims another time than that of its arrival: it is set aside",
        "See the server's clock; release it with prosecours_retention_release once it is explained",
        "La sauvegarde {id} de {client} porte une autre date que celle de son arrivée : elle est mise à part",
        "Vérifier l'horloge du serveur ; la libérer (prosecours_retention_release) une fois l'écart expliqué",
    ),
    Kind(
        "sudden_loss", REPOSITORY, WARNING, "C7", SYSTEMS,
        "retention is held back for {client}: {problems} (snapshot {id})",
        "Ask the client whether that is meant: if so release it (prosecours_retention_release), else reject"
        " it (prosecours_retention_reject)",
        "La suppression des anciennes versions de {client} est suspendue : perte soudaine de données dans la"
        " sauvegarde {id} (détail : {problems})",
        "Demander au client si c'est voulu : si oui la libérer (prosecours_retention_release), sinon la"
        " rejeter (prosecours_retention_reject)",
    ),
    Kind(
        "rubbish", REPOSITORY, WARNING, "C12", SYSTEMS,
        "somebody with the access of a server of {client} sent what no restic makes: {what}. It is set aside",
        "Find out who has that server's access: it is the client's breach of VI.1 unless one of us did it;"
        " follow docs/checks.md (Admission), and give the server new passwords",
        "Un tiers disposant des accès d'un serveur de {client} a envoyé au dépôt ce qu'aucune sauvegarde ne"
        " produit (détail : {what}) ; c'est mis à part",
        "Chercher qui dispose de ces accès (manquement à l'article VI.1, sauf si c'est l'un des nôtres) et"
        " donner de nouveaux mots de passe au serveur",
    ),
    Kind(
        "unnamed", REPOSITORY, CRITICAL, "C12", SYSTEMS,
        "{count} more versions or files in the repositories of {client} wait for a judgement, too many to"
        " name each",
        "Somebody floods them: take the access away (new passwords), then judge or remove what was sent"
        " (docs/checks.md, Admission)",
        "{count} autres versions ou fichiers des dépôts de {client} attendent un jugement, trop nombreux pour"
        " être nommés un à un",
        "Un tiers les inonde : retirer ses accès (nouveaux mots de passe), puis juger ou retirer ce qui a été"
        " envoyé",
    ),
    Kind(
        "unmeasured", REPOSITORY, WARNING, "C7", SYSTEMS,
        "retention is held back for {client}: {count} version(s) could not be measured, as {id}",
        "Run playbooks/retention.yml again; reject what no server of the client has sent"
        " (prosecours_retention_reject)",
        "La suppression des anciennes versions de {client} est suspendue : des versions n'ont pas pu être"
        " mesurées ({count}, dont {id})",
        "Relancer retention.yml ; rejeter ce qu'aucun serveur du client n'a envoyé"
        " (prosecours_retention_reject)",
    ),
    Kind(
        "retired", REPOSITORY, NOTICE, "C7", SYSTEMS,
        "{server} is in the contract of {client} no more; its repository {fate}",
        "Nothing to do if that is meant; else put the server back into the inventory under its old name",
        "Le serveur {server} n'est plus au contrat de {client} ; son dépôt {fate}",
        "Rien à faire si c'est voulu ; sinon, remettre le serveur dans l'inventaire sous son ancien nom",
    ),
    Kind(
        "retired_sends", REPOSITORY, WARNING, "C10", SYSTEMS,
        "{server} of {client} was retired on {day}, and sent a backup on {last} all the same",
        "Run playbooks/repository.yml, which takes its login away, and have its task"
        " \\ProSecours\\Sauvegarde deleted; or put the server back into the inventory",
        "Le serveur {server} de {client} a été retiré le {day}, et il envoie encore : dernière"
        " sauvegarde le {last}",
        "Lancer repository.yml, qui lui retire son identifiant, et faire supprimer sa tâche"
        " \\ProSecours\\Sauvegarde ; ou remettre le serveur dans l'inventaire",
    ),
    Kind(
        "stale_dumps", REPOSITORY, WARNING, "C13", APPLICATIONS,
        "{path} of {host} had {newest} when it was backed up at {at}: the client's own main backup (VI.2) has"
        " stopped, or writes elsewhere",
        "Ask the client whether the backup of the software still runs, and where to; correct the perimeter,"
        " or prosecours_dump_days, if it is meant to be so",
        "{path} de {host} contenait {newest} lors de la sauvegarde du {at} : la sauvegarde principale du"
        " client (VI.2) ne se fait plus, ou s'écrit ailleurs",
        "Demander au client si la sauvegarde du logiciel se fait encore, et où ; corriger le périmètre ou"
        " prosecours_dump_days si c'est voulu",
    ),
    Kind(
        "stale_lock", REPOSITORY, NOTICE, "C6", SYSTEMS,
        "a lock of {holder} has lain in the repository of {client} since {since}",
        _ON_HOST + ", which lifts it",
        "Un verrou de {holder} subsiste dans le dépôt de {client} depuis le {since}",
        _ON_HOST_FR + " : le verrou y est levé",
    ),
    Kind(
        "retention_failed", REPOSITORY, CRITICAL, "C7", SYSTEMS,
        "the retention of {client} failed: {problem}",
        _ON_HOST,
        "Le traitement de conservation de {client} a échoué (détail : {problem})",
        _ON_HOST_FR,
    ),
    Kind(
        "retention_late", REPOSITORY, WARNING, "C7", SYSTEMS,
        "the retention of {client} has not run since {last}",
        "See the timer prosecours-retention on the repository host; run playbooks/retention.yml",
        "Le traitement de conservation de {client} n'a pas été fait depuis le {last}",
        "Voir la minuterie prosecours-retention sur l'hôte du dépôt ; lancer retention.yml",
    ),
    Kind(
        "check_failed", REPOSITORY, CRITICAL, "C19", SYSTEMS,
        "the check of the repository of {client} found damage: {problems}",
        "Follow docs/checks.md (When a check fails) before anything else is done there",
        "Le contrôle du dépôt de {client} a trouvé des dommages (détail : {problems})",
        "Suivre la procédure de réparation avant toute autre intervention sur ce dépôt",
    ),
    Kind(
        "check_late", REPOSITORY, WARNING, "C19", SYSTEMS,
        "the repository of {client} has not been checked since {last}",
        _ON_HOST,
        "Le dépôt de {client} n'a pas été contrôlé depuis le {last}",
        _ON_HOST_FR,
    ),
    Kind(
        "drill_failed", REPOSITORY, CRITICAL, "C19", SYSTEMS,
        "the restore drill of {client} failed: {problems}",
        "Repeat it; if it fails again, treat the repository as damaged",
        "L'essai de restauration de {client} a échoué (détail : {problems})",
        "Le refaire ; en cas de nouvel échec, considérer le dépôt comme endommagé",
    ),
    Kind(
        "drill_doubts", REPOSITORY, WARNING, "C19", APPLICATIONS,
        "files that the restore drill of {client} drew may not be what their names say: {problems}",
        "Open them on the server, and restore them beside the data: what was encrypted or spoilt there looks"
        " so. It is a doubt, and decides nothing",
        "Des fichiers tirés par l'essai de restauration de {client} ne semblent pas être ce que leur nom dit"
        " (détail : {problems})",
        "Les ouvrir sur le serveur et les restaurer à côté des données : des fichiers chiffrés ou abîmés se"
        " présentent ainsi. C'est un doute, rien n'en dépend",
    ),
    Kind(
        "drill_late", REPOSITORY, WARNING, "C19", SYSTEMS,
        "no restore drill of {client} since {last}",
        _ON_HOST,
        "Aucun essai de restauration pour {client} depuis le {last}",
        _ON_HOST_FR,
    ),
    # -- the contract's paper ---------------------------------------------------------------------------
    Kind(
        "not_as_signed", PAPER, WARNING, "C21", APPLICATIONS,
        "the annexes of {client} are no longer what {signatory} signed on {day}: {what}",
        "Run playbooks/documents.yml, which prints the amendment to sign; or correct the inventory",
        "Les annexes de {client} ne sont plus celles que {signatory} a signées le {day} (détail : {what})",
        "Lancer documents.yml, qui imprime l'avenant à signer, ou corriger l'inventaire",
    ),
    Kind(
        "signed_unknown", PAPER, WARNING, "C21", APPLICATIONS,
        "what {client} signed is not known: {problem}",
        "Correct prosecours_signed, or put the file back; playbooks/check.yml says more",
        "Ce que {client} a signé n'est pas connu (détail : {problem})",
        "Corriger prosecours_signed ou remettre le fichier en place ; check.yml en dit plus",
    ),
    Kind(
        "letter_never", PAPER, NOTICE, "C13", APPLICATIONS,
        "{client} was never handed over the instructions for its main backup",
        "Run playbooks/documents.yml -e prosecours_letters=true, then print and post the letter",
        "Les consignes de la sauvegarde principale n'ont jamais été remises à {client}",
        "Lancer documents.yml -e prosecours_letters=true, puis imprimer et poster le courrier",
    ),
    Kind(
        "letter_overdue", PAPER, NOTICE, "C13", APPLICATIONS,
        "the yearly letter about the main backup of {client} was due on {day}",
        "Run playbooks/documents.yml -e prosecours_letters=true, then print and post the letter",
        "Le courrier annuel sur la sauvegarde principale de {client} était dû le {day}",
        "Lancer documents.yml -e prosecours_letters=true, puis imprimer et poster le courrier",
    ),
    Kind(
        "letters_unknown", PAPER, WARNING, "C13", APPLICATIONS,
        "which letters {client} received is not known: {problem}",
        "Put the file back from a backup; or remove it, and the letter is due once more",
        "Les courriers reçus par {client} ne sont pas connus (détail : {problem})",
        "Remettre le fichier d'une sauvegarde, ou le supprimer : le courrier est alors dû de nouveau",
    ),
)  # fmt: skip

KINDS = {kind.name: kind for kind in _ROWS}

ORIGINS = {
    "server": (
        "It was in order until {seen} and changed on the server: the client's breach of VI.1, unless one of"
        " us did it",
        "Conforme jusqu'au {seen}, modifié depuis sur le serveur : manquement du client à l'article VI.1,"
        " sauf intervention de notre part",
    ),
    "unknown": (
        "Nothing is known of it from before: the client's breach of VI.1, or drift",
        "Aucun état antérieur connu : manquement du client à l'article VI.1, ou dérive",
    ),
}
"""Who may have altered the tool (C12): English, French. See `memory.Memory.origin`."""

STATES = {
    "gone": ("gone", "absent"),
    "altered": ("altered", "modifié"),
    "disabled": ("disabled", "désactivé"),
}
