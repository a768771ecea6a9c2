"""The maintenance of all clients of a repository host, some at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from . import reserve, retired
from .admission import MOST_NAMED
from .bucket import Bucket, ClientBucket
from .client import Blocked, Order, run
from .drill import Size
from .errors import ProSecoursError, contained, sentence
from .gate import Gate
from .model import LastCheck, LastDrill, Maintained, Retired, Worries
from .repository import NotARepository, Repository
from .retention import Rules, day_of
from .retired import Sighting
from .shape import as_json, read
from .state import REJECTED, RELEASED, Busy, State
from .storage import GOING, Door, Folder, Storage, Whole, sweep
from .subscription import Plan, account, fence, refusal, told
from .volume import Carried, Counted, Day

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Client:
    """One client of the host: where the repository of each of its servers is, and what it is promised."""

    client: str
    reference: str
    subscribed_gb: int
    daily: int
    weekly: int
    servers: Mapping[str, str]
    """Server, by its name in the inventory -> its repository: a folder, or an address as restic takes it."""
    top: str
    """The folder that the rest-server gives to the client, or the address of its bucket."""
    bucket: Mapping[str, Any] | None = None
    """Where they are that are not on the host: the fields of ClientBucket."""
    dumps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Server -> its folders of dumps -> days that the newest file in one may be old."""
    perimeters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Server -> its directories and patterns, as the inventory has them; without it nothing is said."""


@dataclass(frozen=True)
class Settings:
    """What holds for all clients of the host; the module's documentation describes each."""

    state_folder: str
    restic: str
    side_by_side: int
    clock_minutes: int
    longest_backup_hours: int
    patience: int = 600
    max_unused: str = "5%"
    check_cycle_days: int = 30
    drill_files: int = 20
    drill_megabytes: int = 500
    reserve_megabytes: int = 512
    release: tuple[str, ...] = ()
    release_by: str = ""
    release_why: str = ""
    reject: tuple[str, ...] = ()
    reject_by: str = ""
    reject_why: str = ""
    config: str = "/etc/prosecours"


@dataclass(frozen=True)
class Outcome:
    """client -> report, client -> what a technician should look at, client -> what he should know, client ->
    sentence of its failure, and those who have not sent anything yet."""

    reports: dict[str, dict[str, Any]]
    worries: dict[str, list[str]]
    notes: dict[str, list[str]]
    failures: dict[str, str]
    empty: tuple[str, ...]


PasswordOf = Callable[[str, str], str]
"""Client, server -> what encrypts the server's repository."""


def time_left(done: int, of: int, seconds: float) -> str:
    """What the rest of the clients takes, if they are as those that are done; nothing at the end."""
    minutes = round(seconds / done * (of - done) / 60)
    if done == of:
        return ""
    return f", about {minutes // 60} h {minutes % 60:02} min left" if minutes else ", under a minute left"


def maintain(
    clients: list[Client],
    password_of: PasswordOf,
    settings: Settings,
    check: bool,
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """A client that fails stops no other one, nor does a server.

    The clients are done side by side, the servers of one after the other: they share a system user, and with
    it the user as which restic reads what may be hostile. Those whose last good maintenance is the longest
    ago come first: when a night is too short for all, or a host goes down on the way, it is not always the
    same ones that go without.
    """
    reports: dict[str, dict[str, Any]] = {}
    looks: dict[str, list[str]] = {}
    told: dict[str, list[str]] = {}
    failures: dict[str, str] = {}
    empty: list[str] = []

    begun = time.monotonic()

    def one(client: Client) -> None:
        if say:
            say(f"{client.client}: begins")
        said = []
        report, failed = _maintain(client, password_of, settings, check)
        if failed:
            failures[client.client] = "\n".join(failed)
            said += failed
        if report:
            maintained = read(Maintained, report)
            reports[client.client], looks[client.client] = report, worries(maintained)
            told[client.client] = notes(maintained)
            said.append(_said(maintained))
        elif not failed:
            empty.append(client.client)
            said.append("nothing sent yet")
        if say:
            done = len({*reports, *failures, *empty})
            left = time_left(done, len(clients), time.monotonic() - begun)
            say(f"{done} of {len(clients)}{left}: {client.client}: {'; '.join(said)}")

    with ExitStack() as stack:
        starved = [] if check else list(_reserves(clients, settings, stack))
        with ThreadPoolExecutor(max(1, settings.side_by_side)) as pool:
            list(pool.map(one, sorted(clients, key=lambda client: (_last(client, settings), client.client))))
        for client, was_closed in starved:
            looks.setdefault(client.client, []).append(
                "the disk of its repository host was full: its reserve was given free"
            )
            # Whoever was accounted for is open again where its volume allows it.
            if client.client not in reports and not was_closed:
                door_of(client).move(closed=False)
    return Outcome(
        dict(sorted(reports.items())),
        dict(sorted(looks.items())),
        dict(sorted(told.items())),
        dict(sorted(failures.items())),
        tuple(sorted(empty)),
    )


def _reserves(clients: list[Client], settings: Settings, stack: ExitStack) -> Iterator[tuple[Client, bool]]:
    """Keep a reserve on each disk; those whose disk was full, and whether they had been closed before."""
    size = settings.reserve_megabytes * 10**6
    disks: dict[Path, list[Client]] = {}
    for client in clients:
        if not client.bucket:
            disks.setdefault(Path(client.top).parent, []).append(client)
    for folder, mine in disks.items():
        if not folder.is_dir():
            continue
        before = [(client, door_of(client).closed is True) for client in mine]

        def close(mine: list[Client] = mine) -> None:
            for client in mine:
                door_of(client).move(closed=True)

        if stack.enter_context(reserve.given_up(folder, size, close)):
            yield from before


def _maintain(
    client: Client, password_of: PasswordOf, settings: Settings, check: bool
) -> tuple[dict[str, Any] | None, list[str]]:
    """The report of a client over those servers that did not fail, None without one; and the failures."""
    parts: dict[str, dict[str, Any]] = {}
    failed: list[str] = []
    counted: dict[str, Counted | None] = {}
    asked = _asked(client, settings)
    if not check:
        _returned(client, settings)
    for server in sorted(client.servers, key=lambda server: (_last_of(client, server, settings), server)):
        state, counted[server] = state_of(client, settings, server), None
        try:
            repository = repository_of(client, server, password_of(client.client, server), settings)
            with contained():
                report = run(order_of(client, server, asked[server]), repository, state, check)
        except (ProSecoursError, OSError) as error:
            # Before the first backup there is none. Later it is a disk that is not mounted, or worse.
            if isinstance(error, NotARepository) and not state.known:
                counted[server] = Counted(None, 0)
                continue
            failed.append(f"{server}: {sentence(error)}")
            # Not one of the run that is under way, and it may be the state itself that cannot be written.
            if not check and not isinstance(error, Busy):
                with contextlib.suppress(ProSecoursError):
                    state.keep_failure(sentence(error))
            if not isinstance(error, Blocked):
                continue
            report = error.report
        counted[server] = report.pop("counted")
        parts[server] = report
    if not parts:
        return None, failed
    try:
        with contained():
            report, not_gone = _accounted(client, parts, counted, settings, check)
    except (ProSecoursError, OSError) as error:
        return None, [*failed, sentence(error)]
    return report, [*failed, *not_gone]


def _accounted(
    client: Client,
    parts: Mapping[str, dict[str, Any]],
    counted: Mapping[str, Counted | None],
    settings: Settings,
    check: bool,
) -> tuple[dict[str, Any], list[str]]:
    """What concerns all servers of a client at once: the report, and what of it could not be done.

    Raises ProSecoursError, OSError.
    """
    door, state = door_of(client), state_of(client, settings)
    now = datetime.now(UTC)
    planned, history = account(door, state, client.subscribed_gb, counted, now, check)
    left = retired_of(client, settings, now)
    carried = carried_by((*client.servers, *left), client, settings)
    gone, not_gone = _dropped(client, settings, left, now, check)
    report = together(client, parts, planned, history, left, gone, carried)
    if not check:
        state.keep_report(report, now)
    return report, not_gone


def together(
    client: Client,
    parts: Mapping[str, dict[str, Any]],
    planned: Plan,
    history: tuple[Day, ...],
    left: Mapping[str, Retired],
    dropped: Sequence[str],
    carried: Sequence[Carried] = (),
) -> dict[str, Any]:
    """The report of a client from those of its servers; `left`: servers that are in the contract no more, of
    which some are `dropped`."""
    ordered = dict(sorted(parts.items()))
    title = f"{client.client}: snapshots"
    diffs = [part["diff"] for part in ordered.values()]
    checks = {server: part["check"] for server, part in ordered.items() if part["check"]}
    drills = {server: read(LastDrill, part["drill"]) for server, part in ordered.items() if part["drill"]}
    found = last_check({server: read(LastCheck, one) for server, one in checks.items()})
    drilled = last_drill(drills)
    return {
        "changed": planned.moves or bool(dropped) or any(part["changed"] for part in ordered.values()),
        "client": client.client,
        "promise": {
            "kept": all(part["promise"]["kept"] for part in ordered.values()),
            "problems": [text for part in ordered.values() for text in part["promise"]["problems"]],
        },
        "servers": {name: one for part in ordered.values() for name, one in part["servers"].items()},
        **{
            name: [one for part in ordered.values() for one in part[name]]
            for name in ("decisions", "removed", "set_aside", "unmeasured", RELEASED, REJECTED)
        },
        "losses": {name: texts for part in ordered.values() for name, texts in part["losses"].items()},
        "rubbish": [f"{server}: {text}" for server, part in ordered.items() for text in part["rubbish"]],
        "retired": {name: as_json(one) for name, one in left.items() if name not in dropped},
        "dropped": list(dropped),
        "fence_put_up": not planned.was_fenced,
        "pruned": any(part["pruned"] for part in ordered.values()),
        "check": found
        and {**as_json(found), "read_bytes": sum(one["read_bytes"] for one in checks.values())},
        "drill": drilled and as_json(drilled),
        **told(client.client, client.reference, planned, history, carried),
        "diff": {
            "before_header": title,
            "after_header": title,
            "before": "".join(one["before"] for one in diffs)
            + "".join(f"repository of {name}, which is in the contract no more\n" for name in dropped)
            + refusal(planned.was_closed)
            + fence(planned.was_fenced),
            "after": "".join(one["after"] for one in diffs) + refusal(planned.after.over),
        },
    }


def last_check(found: Mapping[str, LastCheck]) -> LastCheck | None:
    """Of a client's servers together: as late, as far and as good as the worst of them."""
    if not found:
        return None
    whole = [one.read_whole_on for one in found.values()]
    slowest = min(found.values(), key=lambda one: one.slice / one.slices)
    return replace(
        slowest,
        at=min(one.at for one in found.values()),
        ok=all(one.ok for one in found.values()),
        problems=tuple(f"{server}: {text}" for server, one in found.items() for text in one.problems),
        read_whole_on=None if None in whole else min(one for one in whole if one),
    )


def last_drill(found: Mapping[str, LastDrill]) -> LastDrill | None:
    """Likewise; files and bytes are added up."""
    if not found:
        return None
    return LastDrill(
        at=min(one.at for one in found.values()),
        ok=all(one.ok for one in found.values()),
        files=sum(one.files for one in found.values()),
        bytes=sum(one.bytes for one in found.values()),
        problems=tuple(text for one in found.values() for text in one.problems),
        doubts=tuple(text for one in found.values() for text in one.doubts),
    )


def state_of(client: Client, settings: Settings, server: str = "") -> State:
    """What is remembered of a client, and below it of each of its servers."""
    return State(Path(settings.state_folder, client.client, server))


def carried_by(servers: Iterable[str], client: Client, settings: Settings) -> list[Carried]:
    """What disks brought and took, of a server that has left since too: the month is billed all the same."""
    return [one for server in servers for one in state_of(client, settings, server).carried().values()]


def _last_of(client: Client, server: str, settings: Settings) -> datetime:
    """When the server was last maintained with success; long ago for never."""
    try:
        return state_of(client, settings, server).report().at or _NEVER
    except (ProSecoursError, OSError):
        return _NEVER


def _last(client: Client, settings: Settings) -> datetime:
    return min((_last_of(client, server, settings) for server in client.servers), default=_NEVER)


def _asked(client: Client, settings: Settings) -> dict[str, Settings]:
    """Server -> the settings with those judgements that are of its snapshots. What is nobody's is asked of
    all, and refused."""
    if not settings.release and not settings.reject:
        return dict.fromkeys(client.servers, settings)
    ids: dict[str, Mapping[str, datetime]] = {}
    for server in client.servers:
        try:
            ids[server] = storage_of(client, server).arrivals()
        except (ProSecoursError, OSError):
            ids[server] = {}

    whose = {}
    for name in (*settings.release, *settings.reject):
        found = {server for server, there in ids.items() if any(one.startswith(name) for one in there)}
        whose[name] = found or {*client.servers}
    return {
        server: replace(
            settings,
            release=tuple(name for name in settings.release if server in whose[name]),
            reject=tuple(name for name in settings.reject if server in whose[name]),
        )
        for server in client.servers
    }


def order_of(client: Client, server: str, settings: Settings) -> Order:
    """What is asked for a server."""
    return Order(
        server=server,
        rules=Rules(
            daily=client.daily,
            weekly=client.weekly,
            ahead=timedelta(minutes=settings.clock_minutes),
            behind=timedelta(hours=settings.longest_backup_hours),
        ),
        max_unused=settings.max_unused,
        cycle_days=settings.check_cycle_days,
        drill=Size(settings.drill_files, settings.drill_megabytes * 10**6),
        dumps=client.dumps.get(server, {}),
        perimeter=tuple(client.perimeters[server]) if server in client.perimeters else None,
        release=settings.release,
        release_by=settings.release_by,
        release_why=settings.release_why,
        reject=settings.reject,
        reject_by=settings.reject_by,
        reject_why=settings.reject_why,
    )


def repository_of(client: Client, server: str, password: str, settings: Settings) -> Repository:
    """Where a server's backups are."""
    return Repository(
        Path(client.servers[server]),
        password,
        settings.restic,
        settings.patience,
        lies=storage_of(client, server),
        server=server,
        arrived=state_of(client, settings, server).arrivals(),
    )


def storage_of(client: Client, server: str) -> Storage:
    """The place itself."""
    if client.bucket:
        return Bucket(client.servers[server], client.bucket.get("ca", ""))
    return Folder(Path(client.servers[server]))


def door_of(client: Client) -> Door:
    """What lets the new backups of all of a client's servers in."""
    if client.bucket:
        return ClientBucket(**client.bucket)
    top = Path(client.top)
    # Those of servers that are in the contract no more have locks too.
    return Gate(top, tuple(path for path in top.iterdir() if path.is_dir()) if top.is_dir() else ())


def _left(client: Client, sightings: Mapping[str, Sighting]) -> dict[str, Whole]:
    """The servers that are in the contract no more -> their repositories that are still here, also what is
    left of one. Raises BucketError, OSError."""
    going = {name for name, one in sightings.items() if one.going}
    places: dict[str, Whole]
    if client.bucket:
        whole = ClientBucket(**client.bucket)
        places = {name: whole.repository(name) for name in {*whole.servers(), *going}}
    else:
        top = Path(client.top)
        folders = top.iterdir() if top.is_dir() else ()
        here = {one.name for one in folders if (one / "config").is_file()}
        places = {name: Folder(top / name) for name in {*here, *going} if not name.startswith(GOING)}
    # Neither by its name nor by where it is may it be one of a server that is in the contract.
    return {
        name: place
        for name, place in sorted(places.items())
        if name not in client.servers and place.location not in client.servers.values()
    }


def retired_of(client: Client, settings: Settings, now: datetime) -> dict[str, Retired]:
    """The servers that are in the contract no more, and what becomes of each one's repository.

    Raises ProSecoursError, OSError.
    """
    before = state_of(client, settings).sightings()
    places = _left(client, before)
    span = Rules(client.daily, client.weekly).span
    return {
        name: retired.judge(
            {} if sighting.going else places[name].arrivals(),
            state_of(client, settings, name).report(),
            sighting,
            span,
        )
        for name, sighting in retired.seen(places, before, day_of(now)).items()
    }


def _returned(client: Client, settings: Settings) -> None:
    """Whoever is back is missing no more, also where nothing else can be done for the client."""
    with contextlib.suppress(ProSecoursError, OSError):
        state = state_of(client, settings)
        before = state.sightings()
        state.keep_sightings({name: one for name, one in before.items() if name not in client.servers})


def _dropped(
    client: Client, settings: Settings, left: Mapping[str, Retired], now: datetime, check: bool
) -> tuple[list[str], list[str]]:
    """The servers whose repositories went, or would; and the sentences of those that should and did not.

    What is seen and what is begun is remembered first. Nobody comes here where no server of the client
    could be maintained: then no day counts, and nothing goes. Raises Busy, Unreadable, Unwritable, OSError.
    """
    state, today = state_of(client, settings), day_of(now)
    doomed = [name for name, one in left.items() if retired.due(one, today)]
    if check:
        return doomed, []
    gone: list[str] = []
    failed: list[str] = []
    with state.locked():
        before = state.sightings()
        places = _left(client, before)
        doomed = [name for name in doomed if name in places]  # nobody has removed it by hand meanwhile
        sightings = retired.seen(left, before, today)
        for name in doomed:
            sightings[name] = replace(sightings[name], going=True)
        state.keep_sightings(sightings)
        if not client.bucket:
            sweep(Path(client.top))
        config = Path(settings.config, client.client)
        for name in doomed:
            try:
                retired.drop(name, places[name], state_of(client, settings, name).folder, config)
            except (ProSecoursError, OSError) as error:
                failed.append(f"{name}: {sentence(error)}")
                continue
            gone.append(name)
            del sightings[name]
            state.keep_sightings(sightings)
    return gone, failed


def _names(ids: Sequence[str], most: int) -> str:
    """The first ones, and how many more."""
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(name[:8] for name in ids[:most]) + more


def worries(found: Worries) -> list[str]:
    """What a technician should look at, a sentence each."""
    volume = found.volume
    sentences = [f"the promise is not kept: {problem}" for problem in found.promise.problems]
    for name, losses in islice(found.losses.items(), MOST_NAMED):
        sentences.append(f"{name[:8]} is a sudden loss ({'; '.join(losses)}): older versions are held")
    if (more := len(found.losses) - MOST_NAMED) > 0:
        sentences.append(f"{more} more versions are a sudden loss")
    sentences += [f"the client's breach: {text}: it is set aside" for text in found.rubbish]
    if found.set_aside:
        sentences.append(f"{_names(found.set_aside, MOST_NAMED)} set aside: own time and arrival disagree")
    if found.unmeasured:
        sentences.append(
            f"{_names(found.unmeasured, 5)} could not be measured: nothing of this server is removed until"
            " they are, or are rejected"
        )
    if volume.threshold:
        full = f", full on {volume.full_on}" if volume.full_on and volume.percent < 100 else ""
        refused = "; new backups are refused" if volume.closed else ""
        sentences.append(f"{volume.percent} % of {volume.subscribed_gb} GB are used{full}{refused}")
    for one, text in ((found.drill, "the restore drill failed"), (found.check, "the check found damage")):
        if one and not one.ok:
            sentences.append(f"{text}: {'; '.join(one.problems)}")
    if found.drill:
        sentences += [f"in the restore drill {text}: look at it" for text in found.drill.doubts]
    return [*sentences, *retired.held(found.retired)]


def notes(found: Maintained) -> list[str]:
    """What a technician should know, a sentence each; nothing has to be done."""
    went = [f"{name} is in the contract no more: its repository was dropped" for name in found.dropped]
    return [*went, *retired.announced(found.retired)]


def _said(report: Maintained) -> str:
    kept = sum(server.versions for server in report.servers.values())
    said = [f"{kept} versions, {len(report.removed)} removed", *notes(report), *worries(report)]
    return "; ".join(said)
