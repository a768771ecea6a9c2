"""What restic's refusals mean, on a client's server and on a repository host: one table.

restic speaks English everywhere. Its exit codes come first (manual, "Scripting"; cmd/restic/main.go), its
words tell apart what is 1 for it. Read in the sources of restic 0.19.1: internal/global/global.go (opening,
making, the notice of a retry), internal/repository/repository.go (SearchKey, init) and
internal/backend/rest/rest.go (restError). The others are the words of Go's net, crypto/tls and crypto/x509,
and of S3. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Why restic did not do what it was asked for. `problem` and the remedies are one sentence each."""

    name: str
    code: int | None
    """The exit code that says it by itself."""
    words: str
    """A regular expression in what restic printed; empty when the exit code says it all."""
    problem: str
    """With {repository} in the place of the repository's name."""
    remedy: str
    """For who deploys or restores from the inventory."""
    host_remedy: str = ""
    """For who looks after the repository host. Empty: it is not said there, where restic works on a view of
    the repository (`view.py`), whose answers 401, 403 and 5xx mean something else than a server's."""


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "absent", 10, "", "{repository} does not exist",
        "Correct prosecours_repository_url, or run playbooks/deploy.yml, which makes it",
        "Correct the path, or deploy the client first",
    ),
    Refusal(
        "locked", 11, "", "{repository} is locked by another program",
        "Wait until it ends, then run the playbook again",
        "Run again when the backup or the maintenance has ended",
    ),
    Refusal(
        "password", 12, "",
        "{repository} refuses the encryption password: it was initialised with another one",
        "Bring prosecours_encryption_password back, which nothing replaces, or correct the address",
        "Give the password of the client's inventory file",
    ),
    Refusal(
        "half made", None, r"already contains keys|config or key \w+ is damaged",
        "{repository} was left half made by an initialisation that was interrupted, or made twice at once",
        "See on the repository's host that it holds no snapshots, empty its folder there, then run it again",
        "See that it holds no snapshots, empty its folder, then deploy the client again",
    ),
    # Not the same: of a pack it says that data are lost, and nothing is to be emptied.
    Refusal(
        "damaged", None, r"ciphertext verification failed|<data/\w+>.*(?:does not exist|no such file)",
        "{repository} holds damaged data",
        'Follow "When a check fails" in docs/checks.md',
    ),
    Refusal(
        "key", None, r"Access Denied|InvalidAccessKeyId|SignatureDoesNotMatch",
        "{repository} refuses the access key",
        "Correct prosecours_repository_username and _password, the key of the bucket, or run"
        " playbooks/repository.yml for rights",
    ),
    Refusal(
        "no HTTPS", None, r"does not look like a TLS handshake|HTTP response to HTTPS client",
        "{repository} has a server that does not speak HTTPS",
        "Correct the scheme and the port in prosecours_repository_url",
    ),
    Refusal(
        "certificate", None, r"x509: |tls: ",
        "{repository} has a certificate that this host does not trust",
        "Set prosecours_repository_ca to the CA that signed it (PEM), or correct the repository's address",
    ),
    Refusal(
        "full", None, r"Insufficient Storage|no space left on device|quota exceeded", "{repository} is full",
        "Raise its size, at most to the subscribed volume with its headroom, then run the playbook again",
        "Make room on the repository host",
    ),
    Refusal(
        "login", None, r"HTTP response \(401\)",
        "{repository} refuses the user name or password of HTTP (401)",
        "Run playbooks/repository.yml, which writes the inventory's passwords, then playbooks/deploy.yml",
    ),
    Refusal(
        "another's", None, r"HTTP response \(403\)",
        "{repository} belongs to another user of the server (403)",
        "Correct prosecours_repository_url: it ends before the server's name, which is added to it",
    ),
    Refusal(
        "server", None, r"HTTP response \(5\d\d\)",
        "the server of {repository} answers with an error of its own (HTTP 5xx)",
        "See the log of the rest-server on the repository host, then run it again",
    ),
    Refusal(
        "unreached", None,
        r"(?:dial|read|write) tcp|no such host|(?:i/o|handshake) timeout|connection re(?:fused|set)"
        r"|unexpected EOF|context (?:canceled|deadline exceeded)|returned error, retrying after|Load\(<",
        "{repository} cannot be reached",
        "Check prosecours_repository_url, that its server runs and that the firewall lets HTTPS out",
    ),
    Refusal(
        "interrupted", 130, "", "restic was interrupted",
        "Run the playbook again", "Run again: nothing is lost",
    ),
)  # fmt: skip
"""The first row that fits holds."""
ON_HOST = tuple(row for row in REFUSALS if row.host_remedy)


def meaning(code: int | None, words: str, rows: Sequence[Refusal] = REFUSALS) -> Refusal | None:
    """What an exit code (None: it is not known) and restic's words mean; None when that is not known."""
    for row in rows:
        if code == row.code if row.code is not None else re.search(row.words, words):
            return row
    return None
