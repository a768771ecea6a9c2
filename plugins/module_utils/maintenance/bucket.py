"""A client's bucket at a storage supplier that speaks S3, seen with the provider's own key (C20).

That key is in the environment, where restic and boto3 look for it too: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION.

Each server of the client has a key of its own. It can list the bucket, read and add below the server's name,
delete locks there, and nothing else. S3 has no right to add without the right to overwrite. So the bucket
keeps every version of an object, which only the provider can delete, and restic writes each object once:
whatever has a second version was overwritten by someone else, and its first version is the true one.

boto3 is imported when a bucket is looked at: the hosts that only have folders do not need it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from .errors import ProSecoursError
from .storage import NAME, As, Entry

LOCKS = "locks/"
ADDED_TO = ("data/", "index/", LOCKS, "snapshots/")
"""Below a repository, once it is made."""
WRITTEN_ONCE = ("config", "data/*", "index/*", "keys/*", "snapshots/*")
KEY = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
KEPT = timedelta(days=30)
MOST = 1000
"""Objects in one request, S3's own limit."""
REGION = "us-east-1"  # what S3 servers without regions expect


class BucketError(ProSecoursError):
    """What the supplier refused or did not answer."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy, where)


class Place(NamedTuple):
    """A repository's address in its parts; `prefix` is empty or ends with a slash."""

    endpoint: str
    bucket: str
    prefix: str


def place(url: str) -> Place:
    """The parts of s3:https://host/bucket/prefix. Raises ValueError for any other address."""
    found = re.fullmatch(r"s3:(https?://[^/\s@]+)/([^/\s]+)(?:/(.*?))?/?", url)
    if not found:
        raise ValueError(url)
    return Place(found[1], found[2], f"{found[3]}/" if found[3] else "")


def policy(where: Place, keys: Mapping[str, str], closed: bool, made: Iterable[str] = ()) -> dict[str, Any]:
    """What the key of each server may do, by the servers' names; `closed`: nothing new but locks (C15).

    Each can read and add below its own name, and where its repository is `made` only what a backup adds. The
    denials only say again what nothing allows. They are for suppliers where a key has rights elsewhere.
    """
    bucket = f"arn:aws:s3:::{where.bucket}"
    statements: list[dict[str, Any]] = []

    def state(name: str, effect: str, actions: list[str], *resources: str, who: Iterable[str]) -> None:
        statements.append(
            {
                "Sid": name,
                "Effect": effect,
                "Principal": {"AWS": list(who)},
                "Action": actions,
                "Resource": list(resources),
            }
        )

    made = frozenset(made)
    everyone = list(dict.fromkeys(keys.values()))
    state("List", "Allow", ["s3:ListBucket", "s3:GetBucketLocation"], bucket, who=everyone)
    for number, (server, key) in enumerate(keys.items(), start=1):
        inside = f"{bucket}/{where.prefix}{server}/"
        state(f"Read{number}", "Allow", ["s3:GetObject"], f"{inside}*", who=[key])
        added = [LOCKS] if closed else ADDED_TO if server in made else [""]
        allowed = [f"{inside}{name}*" for name in added]
        state(f"Add{number}", "Allow", ["s3:PutObject"], *allowed, who=[key])
        state(f"Unlock{number}", "Allow", ["s3:DeleteObject"], f"{inside}{LOCKS}*", who=[key])
        kept = [inside + name for name in WRITTEN_ONCE]
        state(f"Keep{number}", "Deny", ["s3:DeleteObject"], *kept, who=everyone)
    state("KeepVersions", "Deny", ["s3:DeleteObjectVersion"], f"{bucket}/*", who=everyone)
    rules = ["s3:PutBucketPolicy", "s3:PutBucketVersioning"]
    state("KeepRules", "Deny", rules, bucket, who=everyone)
    return {"Version": "2012-10-17", "Statement": statements}


def use(key: Mapping[str, str]) -> None:
    """Put the provider's key into the environment; `key` has access_key, secret_key and region, or less."""
    values = (key.get("access_key"), key.get("secret_key"), key.get("region"))
    os.environ.update({name: value for name, value in zip(KEY, values, strict=True) if value})


class Version(NamedTuple):
    """One version of an object; `marker`: it says that the object was deleted."""

    key: str
    """Below the prefix."""
    id: str
    at: datetime
    bytes: int
    latest: bool
    marker: bool


@dataclass(frozen=True)
class Bucket:
    """A repository in a bucket. Methods raise BucketError."""

    location: str
    """As restic writes it: s3:https://host/bucket/prefix."""
    ca: str = ""
    """PEM of the authority that signed the supplier's certificate, if it is not a public one."""

    @property
    def address(self) -> str:
        """As restic's --repo takes it."""
        return self.location

    @property
    def distant(self) -> bool:
        return True

    @property
    def place(self) -> Place:
        return place(self.location)

    # -- facts ------------------------------------------------------------------------------------------

    def versions(self, below: str = "") -> Iterator[Version]:
        """All of them, of the objects whose names begin with `below`."""
        where = self.place
        with self._said():
            pages = self._s3.get_paginator("list_object_versions").paginate(
                Bucket=where.bucket, Prefix=where.prefix + below
            )
            for page in pages:
                for kind in ("Versions", "DeleteMarkers"):
                    for one in page.get(kind, ()):
                        yield Version(
                            one["Key"].removeprefix(where.prefix),
                            one["VersionId"],
                            one["LastModified"].astimezone(UTC),
                            int(one.get("Size", 0)),
                            bool(one["IsLatest"]),
                            kind == "DeleteMarkers",
                        )

    def overwritten(self) -> dict[str, tuple[Version, ...]]:
        """Object -> the versions that somebody wrote over the first one. What was deleted, the provider
        deleted: nobody else can."""
        found = {}
        for key, versions in self._by_object().items():
            if not key.startswith(LOCKS) and not any(one.marker for one in versions):
                found[key] = versions[1:]
        return {key: newer for key, newer in found.items() if newer}

    def arrivals(self) -> dict[str, datetime]:
        """Snapshot id -> when it was first written; writing it once more changes nothing."""
        found: dict[str, datetime] = {}
        for one in self.versions("snapshots/"):
            name = one.key.removeprefix("snapshots/")
            if not one.marker and NAME.fullmatch(name):
                found[name] = min(one.at, found.get(name, one.at))
        return found

    def listed(self, kind: str) -> dict[str, Entry]:
        """As they are now, with the time of the last writing."""
        found = {}
        with self._said():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.place.bucket, Prefix=f"{self.place.prefix}{kind}/"
            )
            for page in pages:
                for one in page.get("Contents", ()):
                    name = one["Key"].rpartition("/")[2]
                    if NAME.fullmatch(name):
                        found[name] = Entry(int(one["Size"]), one["LastModified"].astimezone(UTC))
        return found

    def size(self, kind: str, name: str) -> int:
        with self._found(), self._said():
            return int(self._s3.head_object(**self._object(kind, name))["ContentLength"])

    def read(self, kind: str, name: str, start: int = 0, size: int | None = None) -> bytes:
        wanted = "" if size is None else start + size - 1
        only = {} if (start, size) == (0, None) else {"Range": f"bytes={start}-{wanted}"}
        with self._found(), self._said():
            return bytes(self._s3.get_object(**self._object(kind, name), **only)["Body"].read())

    def write(self, kind: str, name: str, data: bytes) -> None:
        with self._said():
            self._s3.put_object(**self._object(kind, name), Body=data)

    def remove(self, kind: str, name: str) -> None:
        with self._said():
            self._s3.delete_object(**self._object(kind, name))

    def _object(self, kind: str, name: str) -> dict[str, str]:
        """As restic's default layout has it in a bucket."""
        where = self.place
        inside = {"config": "config", "data": f"data/{name[:2]}/{name}"}.get(kind, f"{kind}/{name}")
        return {"Bucket": where.bucket, "Key": where.prefix + inside}

    @contextmanager
    def _found(self) -> Iterator[None]:
        """What is not there, as of a folder."""
        try:
            yield
        except BucketError as error:
            code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
            if code in ("NoSuchKey", "404", "NotFound"):
                raise FileNotFoundError(self.location) from error
            raise

    def stored_bytes(self) -> int:
        """Of what is there; what was deleted and not yet forgotten is not counted."""
        return sum(one.bytes for one in self.versions() if one.latest and not one.marker)

    # -- changes ----------------------------------------------------------------------------------------

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The provider's own key is always let in."""
        yield

    def give_back(self, versions: tuple[Version, ...]) -> None:
        """Remove `versions`: the one before them is the object again. May be killed, and called again."""
        for one in sorted(versions, key=lambda one: one.at, reverse=True):
            self._remove(one)

    def forget(self, now: datetime) -> None:
        """What was deleted more than 30 days ago goes for ever: so long a mistake can be made good."""
        for versions in self._by_object().values():
            if versions[-1].marker and versions[-1].at < now - KEPT:
                for one in versions:
                    self._remove(one)

    def drop(self) -> None:
        """As of a folder: every version of every object, a thousand in a request."""
        doomed = [{"Key": self.place.prefix + one.key, "VersionId": one.id} for one in self.versions()]
        for first in range(0, len(doomed), MOST):
            with self._said():
                done = self._s3.delete_objects(
                    Bucket=self.place.bucket,
                    Delete={"Objects": doomed[first : first + MOST], "Quiet": True},
                )
            if left := done.get("Errors"):
                problem = f"{len(left)} objects could not be deleted, as {left[0].get('Key')}"
                raise BucketError(self.location, f"{problem} ({left[0].get('Code')})", SEE)

    def _remove(self, one: Version) -> None:
        with self._said():
            where = self.place
            self._s3.delete_object(Bucket=where.bucket, Key=where.prefix + one.key, VersionId=one.id)

    def _by_object(self) -> dict[str, tuple[Version, ...]]:
        """Object -> its versions, the latest last."""
        found: dict[str, list[Version]] = {}
        for one in self.versions():
            found.setdefault(one.key, []).append(one)
        for each in found.values():
            each.reverse()  # suppliers list the newest first; those of one second stay in that order
            each.sort(key=lambda one: (one.latest, one.at))
        return {key: tuple(each) for key, each in found.items()}

    # -- the supplier -----------------------------------------------------------------------------------

    def environment(self) -> Mapping[str, str]:
        """restic's, with the provider's key."""
        found = {name: os.environ[name] for name in KEY if name in os.environ}
        return found | ({"RESTIC_CACERT": self.authority} if self.authority else {})

    def process(self) -> As:
        """restic may run as anybody."""
        return {}

    @property
    def authority(self) -> str | None:
        """A file with the authority, for as long as this object lives: nobody takes a text."""
        return self._authority.name if self._authority else None

    @cached_property
    def _authority(self) -> Any:
        if not self.ca:
            return None
        file = tempfile.NamedTemporaryFile("w", suffix=".pem")  # noqa: SIM115 -- closed with this object
        file.write(self.ca)
        file.flush()
        return file

    @cached_property
    def _s3(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise BucketError(
                self.location, "boto3 is missing", "Install the package python3-boto3"
            ) from None
        # What was spoiled at the supplier is handed over, and judged by name and seal as in a folder: what
        # boto3 refuses, restic asks for again for a quarter of an hour. Before 1.36 it refuses nothing, and
        # has no such option.
        asis = {"response_checksum_validation": "when_required"}
        return boto3.client(
            "s3",
            endpoint_url=self.place.endpoint,
            region_name=os.environ.get("AWS_DEFAULT_REGION", REGION),
            verify=self.authority,
            config=Config(
                **{name: value for name, value in asis.items() if name in Config.OPTION_DEFAULTS},
                connect_timeout=20,
                read_timeout=120,
                retries={"max_attempts": 3},
                s3={"addressing_style": "path"},
            ),
        )

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Whatever boto3 raises, as a sentence."""
        s3 = self._s3
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "?"))
            problem, remedy = SAID.get(code, (f"{error.operation_name} was refused ({code})", SEE))
            raise BucketError(self.location, problem, remedy) from error
        except NoCredentialsError:
            problem, remedy = (
                "the provider's key is not given",
                "Set prosecours_s3_access_key and _secret_key",
            )
            raise BucketError(self.location, problem, remedy) from None
        except BotoCoreError as error:
            problem = f"{s3.meta.endpoint_url} does not answer ({type(error).__name__})"
            raise BucketError(
                self.location, problem, "Check the address and the authority of its certificate"
            ) from error


@dataclass(frozen=True)
class ClientBucket(Bucket):
    """The bucket of one client, in which each server has a repository and a key of its own."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Server -> its key, as the supplier names it in a policy."""

    def repository(self, server: str) -> Bucket:
        return Bucket(f"{self.location}/{server}", self.ca)

    def servers(self) -> list[str]:
        """Those that have something there, in the contract or not."""
        where = self.place
        with self._said():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=where.bucket, Prefix=where.prefix, Delimiter="/"
            )
            found = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())]
        return sorted(name.removeprefix(where.prefix).rstrip("/") for name in found)

    @property
    def exists(self) -> bool:
        with self._said():
            try:
                self._s3.head_bucket(Bucket=self.place.bucket)
            except self._s3.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True

    @property
    def keeps_versions(self) -> bool:
        with self._said():
            found = self._s3.get_bucket_versioning(Bucket=self.place.bucket)
        return bool(found.get("Status") == "Enabled")

    @property
    def rules(self) -> dict[str, Any]:
        """The policy as it stands; empty when there is none."""
        with self._said():
            try:
                text = self._s3.get_bucket_policy(Bucket=self.place.bucket)["Policy"]
            except self._s3.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
                    return {}
                raise
        return dict(json.loads(text))

    @property
    def closed(self) -> bool | None:
        """As of a folder's gate; None when the policy is neither of the two."""
        rules = _normal(self.rules)
        fences = ((), self.made())
        return next(
            (
                closed
                for closed in (False, True)
                if any(rules == _normal(policy(self.place, self.keys, closed, made)) for made in fences)
            ),
            None,
        )

    @property
    def fenced(self) -> bool:
        """As of a folder's gate."""
        rules, made = _normal(self.rules), self.made()
        wanted = (policy(self.place, self.keys, closed, made) for closed in (False, True))
        return any(rules == _normal(one) for one in wanted)

    def made(self) -> tuple[str, ...]:
        """The servers whose repository is there."""
        found = []
        for server in self.keys:
            with contextlib.suppress(FileNotFoundError):
                self.repository(server).size("config", "config")
                found.append(server)
        return tuple(found)

    def make(self) -> None:
        with self._said():
            self._s3.create_bucket(Bucket=self.place.bucket)

    def keep_versions(self) -> None:
        with self._said():
            self._s3.put_bucket_versioning(
                Bucket=self.place.bucket, VersioningConfiguration={"Status": "Enabled"}
            )

    def move(self, closed: bool) -> None:
        """Open or close it, as of a folder's gate."""
        with self._said():
            text = json.dumps(policy(self.place, self.keys, closed, self.made()))
            self._s3.put_bucket_policy(Bucket=self.place.bucket, Policy=text)


SEE = "See what the storage supplier says about it"
SAID: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("the provider's key is not known there", "Correct prosecours_s3_access_key"),
    "NoSuchBucket": ("there is no such bucket", "Run playbooks/repository.yml, which makes it"),
    "SignatureDoesNotMatch": ("the provider's secret is wrong", "Correct prosecours_s3_secret_key"),
    "AccessDenied": ("the provider's key may not do that", "Give it all rights on the bucket"),
    "BucketAlreadyExists": ("somebody else has a bucket of that name", "Choose another name in the URL"),
    "AuthorizationHeaderMalformed": ("the region is another one", "Set prosecours_s3_region"),
}


def _normal(value: Any) -> Any:
    """A policy in one form: some suppliers give a list of one back as its element."""
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return _normal(value[0]) if len(value) == 1 else [_normal(item) for item in value]
    return value
