"""Brings the bucket of a client to what it has to be: facts -> plan -> apply, change by change (C20)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from ..maintenance.bucket import ClientBucket, policy
from .changes import Change


def plan(client: str, bucket: ClientBucket, closed: bool) -> Iterator[Change]:
    """The changes in the order in which they have to be made; each is planned when the last was made.

    `closed`: whether the maintenance wants new backups refused (C15). Raises BucketError.
    """
    name, there = bucket.place.bucket, bucket.exists
    if not there:
        yield Change(client, f"bucket {name}", "", "made\n", bucket.make)
    if not there or not bucket.keeps_versions:
        before, after = "an object is replaced by a newer one\n", "every version of an object is kept\n"
        yield Change(client, f"versions of {name}", before, after, bucket.keep_versions)
    if not there or bucket.closed is not closed or not bucket.fenced:
        before = _text(bucket.rules) if there else ""
        after = _text(policy(bucket.place, bucket.keys, closed, bucket.made() if there else ()))
        yield Change(client, f"policy of {name}", before, after, partial(bucket.move, closed))
    if there:
        for server in bucket.servers():
            repository = bucket.repository(server)
            for key, newer in sorted(repository.overwritten().items()):
                before = "".join(f"overwritten on {one.at:%Y-%m-%d %H:%M:%S} UTC\n" for one in newer)
                what = f"{name}: {server}/{key}"
                yield Change(client, what, before, "", partial(repository.give_back, newer))


def _text(rules: dict[str, object]) -> str:
    return f"{json.dumps(rules, indent=1, sort_keys=True)}\n" if rules else ""
