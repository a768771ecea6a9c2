"""Which row of the table fits what restic says; the words are those that restic 0.19.1 was seen to print."""

from __future__ import annotations

import pytest
from ansible_collections.prosecours.backup.plugins.module_utils.maintenance.refusals import (
    ON_HOST,
    REFUSALS,
    meaning,
)

STAT = "Stat(<config/>) returned error, retrying after 956.56ms: "
HEAD = f'{STAT}Head "https://:***@127.0.0.1:4219/m/config": '
OPEN = "Fatal: unable to open config file: unexpected HTTP response"
SEEN: list[tuple[int, str, str]] = [
    (
        10,
        "Fatal: repository does not exist: unable to open config file: stat b/config: no such file",
        "absent",
    ),
    (
        11,
        "unable to create lock in backend: repository is already locked by PID 5511 on vm by root",
        "locked",
    ),
    (12, "Fatal: wrong password or no key found", "password"),
    (1, "Fatal: Fatal: create key in repository at k failed: repository already contains keys", "half made"),
    (1, "Fatal: config or key a2366c is damaged: ciphertext verification failed", "half made"),
    (1, "decrypting blob <tree/9f0a> from pack b2a7 failed: ciphertext verification failed", "damaged"),
    (1, "Load(<data/b2a747a9dc>, 0, 0) failed: <data/b2a747a9dc> does not exist", "damaged"),
    (1, f"{STAT}Access Denied.", "key"),
    (-1, f"{HEAD}tls: first record does not look like a TLS handshake", "no HTTPS"),
    (
        -1,
        f"{HEAD}tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "certificate",
    ),
    (1, f"{OPEN} (507): 507 Insufficient Storage", "full"),
    (1, "Fatal: unable to save snapshot: write m/r/data/bf: no space left on device", "full"),
    (1, f"{OPEN} (401): 401 Unauthorized", "login"),
    (1, f"{OPEN} (403): 403 Forbidden", "another's"),
    (-1, f"{STAT}unexpected HTTP response (500): 500 Internal Server Error", "server"),
    (-1, f"{HEAD}dial tcp 127.0.0.1:9: connect: connection refused", "unreached"),
    (-1, f"{HEAD}dial tcp: lookup x.invalid on 10.0.0.1:53: no such host", "unreached"),
    (130, "Fatal: unable to open repository: signal interrupt received", "interrupted"),
]


@pytest.mark.parametrize(("code", "words", "name"), SEEN)
def test_each_refusal_has_its_meaning(code: int, words: str, name: str) -> None:
    found = meaning(code, words)
    assert found is not None
    assert found.name == name
    for sentence in (found.problem, found.remedy, found.host_remedy):
        assert not sentence.endswith(".")


def test_answers_of_the_view_on_a_repository_host_are_no_server_s() -> None:
    told = {name for code, words, name in SEEN if meaning(code, words, ON_HOST)}
    assert told == {"absent", "locked", "password", "half made", "full", "interrupted"}


def test_every_row_is_seen() -> None:
    assert {name for _, _, name in SEEN} == {row.name for row in REFUSALS}


@pytest.mark.parametrize(
    "words",
    [
        "Fatal: something else",
        r"D:\certificate.pfx: Access is denied.",
        r"D:\refused\timeouts.txt: The process cannot access the file because another process uses it.",
        "Fatal: repository contains errors",
    ],
)
def test_what_is_not_known_is_not_guessed(words: str) -> None:
    assert meaning(1, words) is None
