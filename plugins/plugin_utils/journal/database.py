"""The journal in a PostgreSQL database, for any number of controllers: the same lines, append-only by rights.

Tables and rights are those of schemas/journal.sql: whoever writes may insert lines and read them, nothing
else, and a login that may do more is refused. Writers take turns by an advisory lock of their transaction,
which the server lets go of when a writer is killed; lines and head are there together, or not at all.

SQLAlchemy and psycopg are imported late: whoever keeps the journal in a file needs neither. Passwords and
certificates are for libpq to read, from its own files and variables.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..files import COLLECTION, safe_name
from ..libraries import INSTALL
from .late import FOLDER
from .stores import NEW_HEAD, PATIENCE, FileStore, Head, JournalError, Say, SpoiltHead, Store, Writing

SCHEMA = COLLECTION / "schemas" / "journal.sql"
TABLES = ("journal", "journal_heads", "journal_stamps", "monitoring_memory")
PARAMETERS = ("host", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "service", "connect_timeout")
"""What may follow the "?" of an address, as libpq calls it (PostgreSQL's manual, "Parameter Key Words")."""
_LOOKED_FOR = (
    "it is looked for in ~/.pgpass (mode 0600, a line host:port:database:user:password) and PGPASSWORD"
)
_REMEDY = f"See that it runs, and that host, database, user and password are right; {_LOOKED_FOR}"
TRUSTED = "verify-full"
SKEW = 60.0
"""Seconds that the clocks of a controller and its database may differ."""
_LOCK = 0x50524F53  # "PROS": advisory locks of others in the same database have other numbers
_SESSION = {
    "lock_timeout": f"{PATIENCE:.0f}s",
    "statement_timeout": f"{2 * PATIENCE:.0f}s",
    # Of a writer that hangs, or whose machine is gone, nobody waits for longer.
    "idle_in_transaction_session_timeout": f"{2 * PATIENCE:.0f}s",
    # Whatever the server's default: what is committed is on its disk.
    "synchronous_commit": "on",
}
"""For a transaction only, as a pooler may give the connection to others."""
_LONG = {"lock_timeout": "15min", "statement_timeout": "16min", "synchronous_commit": "on"}
"""For a lock that is held as long as a run of monitoring takes."""
_MAY_CHANGE = """
SELECT bool_or(pg_has_role(relowner, 'MEMBER') OR has_any_column_privilege(oid, 'UPDATE')
               OR has_table_privilege(oid, 'DELETE, TRUNCATE'))
FROM pg_class WHERE oid = CAST(:table AS regclass)
"""

# sqlstate (PostgreSQL's manual, appendix A) -> why, what to do
_NO_TABLE = ("it has no tables for it", f"Have its owner apply {SCHEMA} (docs/journal.md)")
_REASONS = {
    "42P01": _NO_TABLE,
    "3F000": _NO_TABLE,
    "42703": _NO_TABLE,
    "42501": ("this login has no right to", "Have its owner grant it prosecours_writer (docs/journal.md)"),
    "25006": ("it is read-only, as a standby is", "Name the primary server"),
    "53100": ("the disk of its server is full", "Have its administrator make room"),
    "55P03": (
        "another run holds it for too long",
        "See which one in pg_stat_activity, and start again when it is done",
    ),
}


def place(text: str) -> Store:
    """The store that a setting names: a path, or an address postgresql://user@host/database. Raises
    JournalError for an address that is none."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text):
        return FileStore(Path(text))
    return Database(checked(text))


def checked(address: str) -> str:
    """The address, if it is one that a password does not stand in and whose server proves who it is."""
    shown = re.sub(r"//[^/?]*@", "//…@", address).partition("?")[0]
    refused = f'journal: "{shown}" is no place of a journal'
    try:
        parts = urlsplit(address)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        _port = parts.port
    except ValueError as error:
        raise JournalError(refused, "Write a path, or postgresql://user@host/database") from error
    if parts.password is not None or "password" in dict(given):
        raise JournalError(
            f'journal: a password stands in the address "{shown}"',
            f"Take it out; {_LOOKED_FOR}",
        )
    twice = len(dict(given)) < len(given)
    if parts.scheme != "postgresql" or not parts.path.strip("/") or parts.fragment or twice:
        raise JournalError(refused, "Write a path, or postgresql://user@host/database")
    for name, _value in given:
        if name not in PARAMETERS:
            raise JournalError(f'{refused}: it has "{name}"', f"Of libpq it may have {', '.join(PARAMETERS)}")
    hosts = (
        [unquote(parts.hostname)] if parts.hostname else [value for name, value in given if name == "host"]
    )
    if len(hosts) != 1 or not hosts[0] or (parts.hostname and "host" in dict(given)):
        raise JournalError(
            f"{refused}: it names no host, or more than one",
            "Name it, or the folder of the server's socket: postgresql://user@/database?host=/run/postgresql",
        )
    mode = dict(given).get("sslmode")
    if mode not in (None, TRUSTED) and not _here(hosts[0]):
        raise JournalError(
            f"journal: with sslmode={mode} anybody between could be the database {hosts[0]}",
            "Leave sslmode out, and name the authority of its certificate: ?sslrootcert=/path/to/ca.pem",
        )
    return address


def _here(host: str) -> bool:
    """Whether it is this machine: a socket, or an address of the loopback."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Database:
    """The journal in a database; its address was `checked`."""

    address: str

    def __str__(self) -> str:
        return self.address.partition("?")[0]

    @property
    def kept(self) -> str:
        return f"The journal and the memory of monitoring are kept in the database {self}"

    @property
    def waiting(self) -> Path:
        return FOLDER.expanduser() / f"{safe_name(str(self))}.waiting.jsonl"

    def text(self) -> bytes:
        with self.connection("read") as database:
            return b"".join(line + b"\n" for line in database.lines("journal"))

    def heads(self) -> Sequence[Head]:
        with self.connection("read") as database:
            return _heads(self, database)

    def stamps(self) -> Sequence[bytes]:
        with self.connection("read") as database:
            return list(database.lines("journal_stamps"))

    def keep_stamp(self, line: bytes) -> None:
        with self.connection("written") as database:
            database.insert("journal_stamps", [line])

    @contextmanager
    def writing(self, say: Say) -> Iterator[Writing]:
        with self.connection("written") as database:
            database.may_only_add("journal", "journal_heads", "journal_stamps")
            database.alone("journal")
            if (seconds := abs(database.ahead())) >= SKEW:
                say(
                    f"The clocks of this controller and of the database {self} differ by about"
                    f" {seconds / 60:.0f} min. The journal has this controller's: let both be set by NTP."
                )
            yield _Held(self, database)

    @contextmanager
    def connection(self, what: str) -> Iterator[Connection]:
        """A transaction, committed when the block ends well. `what`, for a sentence: read, written."""
        sqlalchemy, _psycopg = _libraries()
        refused = f"The journal {self} cannot be {what}"
        with _sentences(refused), self._engine.begin() as connection:
            connection.execute(_set(sqlalchemy, _SESSION, transaction=True))
            yield Connection(self, connection, refused)

    @contextmanager
    def alone_with(self, table: str) -> Iterator[Connection]:
        """A table that only this process reads and adds to until the block ends, however long that takes.

        What it adds is there at once; no transaction stays open. The server lets go when the process dies.
        """
        sqlalchemy, _psycopg = _libraries()
        refused = f"What is in prosecours.{table} of {self} cannot be used"
        with _sentences(refused), self._engine.connect() as transaction:
            connection = transaction.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(_set(sqlalchemy, _LONG, transaction=False))
            connection.execute(
                sqlalchemy.select(sqlalchemy.func.pg_advisory_lock(_LOCK, TABLES.index(table)))
            )
            found = Connection(self, connection, refused)
            found.may_only_add(table)
            yield found

    @cached_property
    def _engine(self) -> Any:
        sqlalchemy, psycopg = _libraries()

        def connect() -> Any:
            return psycopg.connect(self.address, **self._defaults())

        return sqlalchemy.create_engine(
            "postgresql+psycopg://",
            creator=connect,
            poolclass=sqlalchemy.pool.NullPool,  # none is kept: Ansible forks, and a run lasts for hours
            pool_reset_on_return=None,  # nor tidied: of one that broke it would log a traceback
            isolation_level="READ COMMITTED",  # after the lock, what the one before wrote is seen
        )

    def _defaults(self) -> dict[str, Any]:
        """What libpq is told beside the address. TLS by what stands in the address, whatever the environment
        says: a name that is not of this machine has to prove itself."""
        parts = urlsplit(self.address)
        given = dict(parse_qsl(parts.query))
        host = unquote(parts.hostname or given.get("host", ""))
        own: dict[str, Any] = {
            "host": host,
            "sslmode": "prefer" if _here(host) else TRUSTED,
            "application_name": "prosecours",
            "client_encoding": "utf8",
            "connect_timeout": 10,
            "keepalives_idle": 20,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
        }
        return {name: value for name, value in own.items() if name == "host" or name not in given}


@dataclass(frozen=True)
class Connection:
    """What is asked of the database within one transaction."""

    database: Database
    raw: Any
    """SQLAlchemy's."""
    refused: str
    """What is not done when it fails, as the beginning of a sentence."""

    def last(self, table: str) -> bytes | None:
        sqlalchemy, _psycopg = _libraries()
        of = _table(sqlalchemy, table)
        with _sentences(self.refused):
            line = self.raw.execute(
                sqlalchemy.select(of.c.line).order_by(of.c.number.desc()).limit(1)
            ).scalar()
        return None if line is None else bytes(line)

    def lines(self, table: str, backwards: bool = False) -> Iterator[bytes]:
        """Those of a table in their order; fetched as they are wanted."""
        sqlalchemy, _psycopg = _libraries()
        of = _table(sqlalchemy, table)
        order = of.c.number.desc() if backwards else of.c.number
        query = sqlalchemy.select(of.c.line).order_by(order).execution_options(yield_per=100)
        with self.raw.execute(query) as found:
            for (line,) in found:
                yield bytes(line)

    def insert(self, table: str, lines: Sequence[bytes]) -> None:
        sqlalchemy, _psycopg = _libraries()
        if lines:
            with _sentences(self.refused):
                self.raw.execute(_table(sqlalchemy, table).insert(), [{"line": line} for line in lines])

    def may_only_add(self, *tables: str) -> None:
        """Raises JournalError for a login that may change or remove what is in a table."""
        sqlalchemy, _psycopg = _libraries()
        for table in tables:
            query = sqlalchemy.text(_MAY_CHANGE)
            if self.raw.execute(query, {"table": f"prosecours.{table}"}).scalar():
                raise JournalError(
                    f"{self.refused}: with this login what is in it could be changed",
                    f"Use one that is no owner and has prosecours_writer only, as {SCHEMA} says",
                )

    def alone(self, what: str) -> None:
        """Wait until no other process has this lock; it is let go of with the transaction."""
        sqlalchemy, _psycopg = _libraries()
        self.raw.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_LOCK, TABLES.index(what))))

    def ahead(self) -> float:
        """Seconds by which the clock of the database is ahead of this machine's."""
        sqlalchemy, _psycopg = _libraries()
        at: datetime = self.raw.execute(sqlalchemy.select(sqlalchemy.func.clock_timestamp())).scalar_one()
        return (at - datetime.now(UTC)).total_seconds()


@dataclass(frozen=True)
class _Held:
    """The journal within the transaction that has its lock."""

    store: Database
    database: Connection

    def backwards(self) -> Iterator[bytes]:
        return self.database.lines("journal", backwards=True)

    def heads(self) -> Sequence[Head]:
        return _heads(self.store, self.database)

    def add(self, lines: Sequence[bytes], head: Head, stamps: Sequence[bytes] = ()) -> None:
        self.database.insert("journal", lines)
        self.database.insert("journal_heads", [head.line()])
        self.database.insert("journal_stamps", stamps)


def _heads(store: Database, database: Connection) -> Sequence[Head]:
    line = database.last("journal_heads")
    if line is None:
        return []
    try:
        return [Head.read(line)]
    except ValueError as error:
        raise SpoiltHead(
            f"The newest line of prosecours.journal_heads in {store} is no head of the journal",
            NEW_HEAD,
        ) from error


def _table(sqlalchemy: Any, name: str) -> Any:
    return sqlalchemy.table(name, sqlalchemy.column("number"), sqlalchemy.column("line"), schema="prosecours")


def _set(sqlalchemy: Any, settings: Mapping[str, str], transaction: bool) -> Any:
    return sqlalchemy.select(*(sqlalchemy.func.set_config(*one, transaction) for one in settings.items()))


@contextmanager
def _sentences(refused: str) -> Iterator[None]:
    """An error of the database becomes one of ours."""
    sqlalchemy, _psycopg = _libraries()
    try:
        yield
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason, remedy = _told(getattr(error, "orig", None) or error)
        raise JournalError(f"{refused}: {reason}", remedy) from None


def _told(error: Any) -> tuple[str, str]:
    """(why, what to do) of an error of psycopg's. A server may speak another language: codes are read."""
    state = getattr(error, "sqlstate", None)
    if state in _REASONS:
        return _REASONS[state]
    words = " ".join(str(error).split())[:300] or type(error).__name__
    return f"it does not answer as it should ({words})", _REMEDY


def _libraries() -> tuple[Any, Any]:
    """Late: whoever keeps the journal in a file needs neither."""
    try:
        import psycopg
        import sqlalchemy
    except ImportError as error:  # psycopg raises it itself when it finds no libpq
        name = error.name or "psycopg"
        raise JournalError(
            f"No journal can be kept in a database, the Python of Ansible has no {name}",
            f"Install it: {INSTALL}",
        ) from error
    return sqlalchemy, psycopg
