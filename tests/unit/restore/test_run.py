"""A restore from facts to report, on a host that answers what a test says."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.shape import read
from ansible_collections.prosecours.backup.plugins.plugin_utils.agent.refusals import AgentError
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import apply as restore_apply
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import facts as restore_facts
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import find as restore_find
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import plan as restore_plan
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import record as restore_record
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore import run as restore
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.apply import Clock, Outcome
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.facts import (
    RestoreError,
    Seen,
    Status,
    Version,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.restore.plan import (
    Choice,
    Item,
    Keep,
    Plan,
)
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.robocopy import Tree
from ansible_collections.prosecours.backup.plugins.plugin_utils.windows.session import (
    ConnectionLost,
    Output,
    TimedOut,
)
from unit.agent.hosts import Host, sections

from .requests import NOW, REQUEST

FOLDER = r"C:\Program Files\ProSecours"
VERSION = "ab" * 32
PLAN = Plan(
    request=REQUEST.id,
    version=VERSION,
    version_time="2026-11-11T21:04:00+00:00",
    version_complete=True,
    why="asked for 2026-11-12: the newest complete version up to then is of 2026-11-11 22:04",
    passed_over=(),
    target=r"D:\Restauration\à & ^b!",
    items=(Item(r"D:\data", 3, 1000, 1000, 0),),
    absent=(),
    keep=(),
    kept_in=(),
    planned=NOW.isoformat(),
    rate=None,
    basis="",
)
IN_PLACE = replace(
    PLAN,
    target="",
    keep=(Keep(r"D:\data", r"D:\Restauration\avant\D\data", "*.*", "/E", 70),),
    kept_in=(r"D:\Restauration\avant",),
)
DONE = {"format": 1, "start": "2026-11-23T10:00:00Z", "end": "2026-11-23T10:01:30Z", "exit_code": 0}
ENDED = read(Status, DONE)
SUMMARY = '{"message_type":"summary","files_restored":5,"bytes_restored":1000}\r\n'
STATE = {"agent": "1", "tar": "1", "url": "rest:https://backup.example/moulin/"}


def files_sent(host: Host) -> dict[str, bytes]:
    """What was unpacked on the host."""
    with tarfile.open(fileobj=io.BytesIO(host.inputs[0])) as tar:
        return {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]


class Taking(Host):
    """A host that takes files, and tells their true hashes."""

    def run(self, line: str, stdin: Any = (), timeout: float = 120.0) -> Output:
        if "certutil" in line:
            hashes = {name: restore_apply.delivery.sha256(data) for name, data in files_sent(self).items()}
            return sections({name: f"SHA256\r\n{value}\r\n" for name, value in hashes.items()})(line)
        return super().run(line, stdin, timeout)


# -- starting -------------------------------------------------------------------------------------------


def test_names_never_stand_in_a_file_that_cmd_reads() -> None:
    host = Taking()
    runs = restore_plan.runs(REQUEST, PLAN.target)
    restore_apply.start(host, REQUEST, FOLDER, PLAN, runs, Seen(tar=True), 500)
    sent = files_sent(host)
    script = sent["restore.cmd"].decode("ascii")
    assert f'restic.cmd restore {VERSION} --target "!ARGUMENT1!" --iinclude-file items-0.txt' in script
    assert "--limit-download 500 --verify --json" in script
    task = sent["task.xml"].decode("utf-16")
    assert rf'{FOLDER}\restore\{REQUEST.id}\restore.cmd" "D:\Restauration\à &amp; ^b!""' in task
    assert "S-1-5-18" in task
    assert "<Triggers>" not in task
    assert sent["items-0.txt"].decode() == "/D/data\r\n/E/été/[[]2026] l'état.xlsx\r\n"
    assert Plan.from_data(json.loads(sent["plan.json"])) == PLAN
    assert len(host.commands("schtasks /run")) == 1


def test_what_is_kept_comes_as_arguments_and_each_drive_has_its_call() -> None:
    host = Taking()
    request = replace(REQUEST, in_place=True)
    restore_apply.start(host, request, FOLDER, IN_PLACE, restore_plan.runs(request, ""), Seen(tar=True))
    sent = files_sent(host)
    assert r'"-" "D:\data" "D:\Restauration\avant\D\data" "*.*" "/E""' in sent["task.xml"].decode("utf-16")
    script = sent["restore.cmd"].decode("ascii")
    assert f'{VERSION}:/D --target "D:/" --iinclude-file items-0.txt' in script
    assert f'{VERSION}:/E --target "E:/" --iinclude-file items-1.txt' in script


def test_files_that_arrive_altered_start_nothing() -> None:
    host = Host(("certutil", sections({})))
    with pytest.raises(RestoreError, match="files arrive altered"):
        restore_apply.start(host, REQUEST, FOLDER, PLAN, restore_plan.runs(REQUEST, "x"), Seen(tar=True))
    assert host.commands("schtasks") == []
    assert host.files, "PowerShell was not tried"


# -- following ------------------------------------------------------------------------------------------


class Time:
    """A clock that sleeps at once."""

    def __init__(self) -> None:
        self.at = 0.0

    def clock(self) -> Clock:
        return Clock(lambda: self.at, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def following(*looks: dict[str, str]) -> Host:
    """A host that gives these answers one after the other, the last one for ever."""
    left = list(looks)

    def answer(line: str) -> Output:
        return sections(left.pop(0) if len(left) > 1 else left[0])(line)

    return Host(("restore.lock", answer))


RUNNING = {"lock": "1", "free": ""}
FREE = {"lock": "1", "free": "1"}


def status(restored: int, seconds: int) -> str:
    return (
        f'{{"message_type":"status","seconds_elapsed":{seconds},"total_bytes":1000,'
        f'"files_restored":1,"bytes_restored":{restored}}}\r\n'
    )


def test_progress_in_files_bytes_and_time_left() -> None:
    said: list[str] = []
    host = following(
        RUNNING,
        {**RUNNING, "kept": "x", "log": status(0, 5)},
        {**RUNNING, "kept": "x", "log": status(100, 60)},
        {**RUNNING, "kept": "x", "log": status(1000, 600)},
        {**FREE, "kept": "x", "status": json.dumps(DONE)},
    )
    found = restore_apply.follow(host, REQUEST, FOLDER, IN_PLACE, 1, 100, said.append, Time().clock())
    assert found == ENDED
    assert said == [
        r"moulin-srv1: keeping aside what is in place, in D:\Restauration\avant",
        "moulin-srv1: 1 of 3 files and folders, 0 B of 1.0 kB",
        "moulin-srv1: 1 of 3 files and folders, 100 B of 1.0 kB, about 9 min left",
        "moulin-srv1: 1 of 3 files and folders, 1.0 kB of 1.0 kB, comparing hashes",
    ]
    assert "skip=1 " in host.lines[2], "what was read is sent again"
    assert "skip=2 " in host.lines[3]


@pytest.mark.parametrize(
    ("looks", "says"),
    [
        ([RUNNING, FREE], "the restore was interrupted on the server"),
        ([FREE], "the restore was interrupted on the server"),
        ([RUNNING], "the restore has not ended after 100 s; it goes on"),
    ],
)
def test_an_end_that_is_none(looks: list[dict[str, str]], says: str) -> None:
    with pytest.raises(RestoreError, match=says):
        restore_apply.follow(following(*looks), REQUEST, FOLDER, PLAN, 1, 100, lambda _: None, Time().clock())


def test_a_cut_connection_says_that_the_restore_goes_on() -> None:
    host = Host(("restore.lock", ConnectionLost("moulin-srv1", "the connection broke", "Check the link")))
    with pytest.raises(RestoreError, match="the connection broke; the restore goes on there"):
        restore_apply.follow(host, REQUEST, FOLDER, PLAN, 1, 100, lambda _: None, Time().clock())


# -- afterwards -----------------------------------------------------------------------------------------

WELL = Outcome(0, 90.0, 3, 1000, (), 0, Tree(2, 3, 1000), 10**9, None, 1)
FAILURES: list[tuple[str, Plan, Outcome, str]] = [
    (
        "not kept, in use",
        IN_PLACE,
        replace(WELL, exit_code=252, keep_error=32),
        "could not be kept aside (a program holds it open); nothing was overwritten",
    ),
    (
        "not kept, unknown",
        IN_PLACE,
        replace(WELL, exit_code=252, keep_error=1450),
        "could not be kept aside (Windows error 1450)",
    ),
    (
        "disk full",
        PLAN,
        replace(WELL, exit_code=1, bytes=400, free=500, troubles=("x",), trouble_count=1),
        "the disk is full: 500 B are left, 600 B are still to come",
    ),
    (
        "unwritable",
        PLAN,
        replace(WELL, exit_code=1, bytes=400, troubles=(r"D:\a: in use", "b"), trouble_count=2),
        r"not everything could be restored: D:\a: in use and 1 more",
    ),
    (
        "repository gone",
        PLAN,
        replace(
            WELL, exit_code=1, bytes=0, troubles=("Load(<data/ab>, 1, 0): dial tcp: x",), trouble_count=1
        ),
        "the repository cannot be reached: Load(<data/ab>",
    ),
    ("unknown", PLAN, replace(WELL, exit_code=130), "restic ended with code 130"),
    (
        "crashed",
        PLAN,
        replace(WELL, exit_code=-1073741819, summaries=0, bytes=0, counted=Tree(0, 0, 0)),
        "restic ended with code -1073741819",
    ),
    (
        "no summary",
        PLAN,
        replace(WELL, summaries=0, bytes=0, counted=Tree(0, 0, 0)),
        "restic reported no error, but no summary of its own either (0 of 1 runs)",
    ),
    (
        "removed meanwhile",
        PLAN,
        replace(WELL, counted=Tree(2, 2, 400)),
        "restic restored 1.0 kB, but Windows counts 400 B",
    ),
]


@pytest.mark.parametrize(
    ("plan", "outcome", "says"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES]
)
def test_why_a_restore_did_not_succeed(plan: Plan, outcome: Outcome, says: str) -> None:
    found = restore_apply.failure(REQUEST, plan, outcome)
    assert found is not None
    assert says in found[0]
    assert "with the same request" in found[1]


def test_a_restore_that_succeeded() -> None:
    assert restore_apply.failure(REQUEST, PLAN, WELL) is None
    assert restore_apply.failure(REQUEST, IN_PLACE, replace(WELL, counted=None)) is None


def test_what_restic_and_robocopy_left_is_read() -> None:
    errors = "".join(
        f'{{"message_type":"error","error":{{"message":"{words}"}},"during":"restore","item":"/D/{words}"}}\r\n'
        for words in ("a", "b", "a")
    )
    host = Host(
        (
            "findstr",
            sections(
                {
                    "summary": SUMMARY,
                    "error": errors,
                    "keep": "2026/11/23 10:00:00 ERREUR 32 (0x00000020) Copie du fichier D:\\x",
                    "free": "  2 Rép(s)  123456 octets libres\r\n",
                }
            ),
        )
    )
    found = restore_apply.outcome(host, REQUEST, FOLDER, PLAN, replace(ENDED, exit_code=1))
    assert (found.bytes, found.entries, found.seconds, found.free) == (1000, 3, 90.0, 123456)
    assert found.troubles == ("/D/a: a", "/D/b: b")
    assert found.keep_error == 32
    (command,) = host.lines
    assert f'schtasks /delete /tn "{restore_apply.TASK}" /f' in command or "schtasks /delete" in command


# -- from request to result -----------------------------------------------------------------------------


def carried_out(answers: dict[str, str], check: bool = False) -> tuple[dict[str, Any], Host]:
    host = Host(("##", sections({**STATE, **answers, "summary": SUMMARY})))
    settings = restore.Settings(FOLDER)
    return restore.restore(host, REQUEST, {}, settings, check, lambda _: None), host


def test_a_request_that_is_done_is_not_carried_out_again() -> None:
    result, host = carried_out({"plan": json.dumps(PLAN.data()), "status": json.dumps(DONE)})
    assert result["changed"] is False
    assert result["failure"] is None
    assert result["journal"]["verified"] is True
    assert result["journal"]["judged"] is False, "no repository host was asked"
    assert host.commands("schtasks /run") == []
    assert host.commands("restic.cmd") == []


def test_check_mode_of_a_restore_that_was_interrupted_shows_its_plan() -> None:
    result, host = carried_out({"plan": json.dumps(PLAN.data())}, check=True)
    assert result["changed"] is True
    assert result["changes"] == [
        rf"3 files and folders of the version of 2026-11-11 22:04 restored into {PLAN.target}"
    ]
    assert result["version"]["id"] == VERSION
    assert "outcome" not in result
    assert host.commands("schtasks") == []


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"agent": ""}, "no agent is deployed"),
        ({"lock": "1", "free": "", "current": "feedfeedfeed"}, "another restore runs there (feedfeedfeed)"),
    ],
)
def test_nothing_is_begun(answers: dict[str, str], says: str) -> None:
    with pytest.raises(AgentError) as refused:
        carried_out(answers)
    assert says in str(refused.value)


def test_a_repository_that_is_not_reached_is_a_sentence() -> None:
    words = Output(-1, b"", b"Load(<config/0000000000>, 0, 0) returned error, retrying after 1s: dial tcp")
    host = Host(
        ("restic.cmd", TimedOut("moulin-srv1", "a command did not end", "See the host", words)),
        ("##", sections(STATE)),
    )
    with pytest.raises(
        AgentError, match=r"the repository rest:https://backup.example/moulin/ cannot be reached"
    ):
        restore.restore(host, REQUEST, {}, restore.Settings(FOLDER), False, lambda _: None)


LINK = '{"name":"a","type":"symlink","path":"/D/Data/a","struct_type":"node"}\r\n'
ELSEWHERE = LINK.replace("/D/Data/", "/D/database/")


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        (LINK + "all entries were listed\r\n", "/D/Data/a in it is a link"),
        (ELSEWHERE, "could not be listed"),
        (ELSEWHERE.replace("/a", "/all entries were listed"), "could not be listed"),
    ],
)
def test_links_of_a_version_that_nobody_judged_are_not_restored_to_another_server(
    listed: str, says: str
) -> None:
    answers = {**STATE, "links": listed}
    versions = f'[{{"id": "{VERSION}", "time": "2026-11-11T21:04:00Z", "hostname": "srv"}}]'
    host = Host(("snapshots", Output(0, versions.encode(), b"")), ("##", sections(answers)))
    request = replace(REQUEST, host="other")
    with pytest.raises(AgentError, match=says):
        restore.restore(host, request, {}, restore.Settings(FOLDER), False, lambda _: None)
    assert host.commands("schtasks") == []


def test_links_beside_what_is_asked_for_do_not_matter() -> None:
    assert restore_facts.links_in(b"all entries were listed\r\n") == []
    found = restore_facts.links_in((ELSEWHERE + "all entries were listed\r\n").encode())
    choice = Choice(Version(VERSION, NOW, "srv"))
    restore_plan.refuse_links(REQUEST, choice, found, ["/D/data"])


# -- the record -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (WELL, ("Restauration complète et vérifiée", "Aucun.", "3\xa0fichiers", "2\xa0min")),
        (
            replace(WELL, exit_code=1, bytes=400, troubles=("D:\\a: <in use>",), trouble_count=3),
            ("Restauration incomplète", "D:\\a: &lt;in use&gt;", "et 2\xa0autres"),
        ),
    ],
)
def test_the_record_in_french(outcome: Outcome, words: tuple[str, ...]) -> None:
    plan = replace(IN_PLACE, passed_over=("2026-11-12T21:04:00+00:00",))
    result = restore._report("srv", REQUEST, plan, True, outcome, ENDED)
    page = restore_record.document(REQUEST, read(restore_record.Restored, result), "A. Technicien")
    always = (
        "Procès-verbal de restauration",
        "Mme Jeanne Martin",
        "dimanche 22\xa0novembre\xa02026",
        "mercredi 11\xa0novembre\xa02026 à 22\xa0h\xa004",
        "Écartées, car incomplètes",
        r"D:\Restauration\avant",
        "A. Technicien",
    )
    for text in (*always, *words):
        assert text in page


# -- looking for an item --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("facture", "*facture*"),
        ("B*.GIW", "B*.GIW"),
        (r"D:\été\[2026]*.txt", "/D/été/[[]2026]*.txt"),
        ("[2026]", "*[[]2026]*"),
    ],
)
def test_a_name_as_restic_looks_for_it(name: str, pattern: str) -> None:
    assert restore_find.pattern(name) == pattern


def test_states_of_an_item_are_told_once_with_the_versions_that_hold_them() -> None:
    ids = {day: f"a{day:02}".ljust(64, "0") for day in (10, 11, 12)}
    listed = [
        {"id": ids[day], "time": f"2026-11-{day}T22:00:00Z", "hostname": "srv"} for day in (10, 11, 12)
    ] + [{"id": "m", "time": "2026-11-12T22:01:00Z", "hostname": "srv", "tags": [f"incomplete={ids[12]}"]}]
    versions = restore_facts.versions(json.dumps(listed).encode(), "srv")

    def hit(version: str, size: int, day: int) -> dict[str, Any]:
        match = {
            "path": "/D/data/Été.txt",
            "type": "file",
            "size": size,
            "mtime": f"2026-11-{day:02}T08:00:00Z",
        }
        return {"matches": [match], "hits": 1, "snapshot": version}

    answer = [hit(ids[11], 5, 9), hit(ids[10], 5, 9), hit(ids[12], 7, 12), hit("m", 1, 1), hit("gone", 1, 1)]
    found = restore_find.matches(json.dumps(answer).encode(), versions)
    assert [(item.version, item.path, item.size) for item in found] == [
        (ids[10], r"D:\data\Été.txt", 5),
        (ids[11], r"D:\data\Été.txt", 5),
        (ids[12], r"D:\data\Été.txt", 7),
    ]
    first, *states = restore_find.table("été", found).splitlines()
    assert first == r"srv  D:\data\Été.txt"
    assert [" ".join(state.split()) for state in states] == [
        "changed 2026-11-09 09:00 5 B 2 versions, 2026-11-10 23:00 to 2026-11-11 23:00",
        "changed 2026-11-12 09:00 7 B version of 2026-11-12 23:00, incomplete",
    ]
    assert restore_find.table("x", []) == 'Nothing in any version matches "x".'
