"""Brings the bucket of a client to what it has to be: facts -> plan -> apply, change by change (C20)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from .bucket import Bucket, policy
from .host_changes import Change


def plan(client: str, bucket: Bucket, closed: bool) -> Iterator[Change]:
    """The changes in the order in which they have to be made; each is planned when the last was made.

    `closed`: whether the maintenance wants new backups refused (C15). Raises BucketError.
    """
    name, there = bucket.place.bucket, bucket.exists
    if not there:
        yield Change(client, f"bucket {name}", "", "made\n", bucket.make)
    if not there or not bucket.keeps_versions:
        before, after = "an object is replaced by a newer one\n", "every version of an object is kept\n"
        yield Change(client, f"versions of {name}", before, after, bucket.keep_versions)
    if not there or bucket.closed is not closed:
        before = _text(bucket.rules) if there else ""
        after = _text(policy(bucket.place, bucket.principal, closed))
        yield Change(client, f"policy of {name}", before, after, partial(bucket.move, closed))
    if there:
        for key, newer in sorted(bucket.overwritten().items()):
            before = "".join(f"overwritten on {one.at:%Y-%m-%d %H:%M:%S} UTC\n" for one in newer)
            yield Change(client, f"{name}: {key}", before, "", partial(bucket.give_back, newer))


def _text(rules: dict[str, object]) -> str:
    return f"{json.dumps(rules, indent=1, sort_keys=True)}\n" if rules else ""
