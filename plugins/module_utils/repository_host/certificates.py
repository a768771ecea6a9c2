"""Certificates of a repository host, by openssl: an own authority, and what it issues. Standard library only.

Keys are P-256 and never encrypted: what starts a server by itself could read the password as well.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import tempfile
import time
from pathlib import Path

from .changes import HostError, Owner, own, run

AUTHORITY_DAYS = 30 * 365
"""Of the authority, in days: longer than any contract, as agents are told to trust it once."""


def make_authority(folder: Path) -> None:
    """A new ca.crt and ca.key in `folder`."""
    subject = f"CN=Pro Secours repository {socket.gethostname()[:40]}"
    request = f"[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=v\n[name]\n{subject}\n[v]\n"
    request += "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
    request += "subjectKeyIdentifier=hash\n"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        new = Path(name)
        (new / "request").write_text(request, "utf-8")
        _new_key(new / "key")
        arguments = ("-config", f"{new}/request", "-key", f"{new}/key", "-out", f"{new}/crt")
        run("openssl", "req", "-x509", "-new", *arguments, "-days", str(AUTHORITY_DAYS))
        (new / "key").replace(
            folder / "ca.key"
        )  # the certificate last: its presence says that both are there
        (new / "crt").replace(folder / "ca.crt")


def issue(authority: Path, folder: Path, client: str, name: str, days: int, reads: Owner, mode: int) -> None:
    """A new tls.crt and tls.key in `folder` for a server that is reached as `name`."""
    extensions = (
        f"subjectAltName={'IP' if is_address(name) else 'DNS'}:{name}\nbasicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    request = f"[req]\nprompt=no\ndistinguished_name=name\n[name]\nCN={client[:64]}\n"
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        new = Path(temporary)
        (new / "request").write_text(request, "utf-8")
        (new / "extensions").write_text(extensions, "utf-8")
        _new_key(new / "key")
        arguments = ("-config", f"{new}/request", "-key", f"{new}/key", "-out", f"{new}/csr")
        run("openssl", "req", "-new", *arguments)
        arguments = ("-in", f"{new}/csr", "-out", f"{new}/crt", "-extfile", f"{new}/extensions")
        signer = ("-CA", f"{authority}/ca.crt", "-CAkey", f"{authority}/ca.key")
        serial = ("-set_serial", f"0x{os.urandom(16).hex()}")
        run("openssl", "x509", "-req", *arguments, *signer, *serial, "-days", str(days))
        for path in (new / "key", new / "crt"):
            own(path, reads, mode)
        (new / "key").replace(folder / "tls.key")
        (new / "crt").replace(folder / "tls.crt")


def _new_key(path: Path) -> None:
    """P-256, unencrypted, readable by its owner only."""
    path.touch(0o600)
    options = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    run("openssl", "genpkey", *options, "-out", str(path))


def is_pair(certificate: Path, key: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError:  # ssl.SSLError is one
        return False
    # The above compares public parts only: a damaged key may carry the right one.
    return run("openssl", "pkey", "-check", "-noout", "-in", str(key), allowed=None).returncode == 0


def is_good(certificate: Path, key: Path, authority: Path, name: str, days: int) -> bool:
    """From this authority, for this name, with its key, and for so many days to come."""
    if not is_pair(certificate, key):
        return False
    checks = ("-verify_ip" if is_address(name) else "-verify_hostname", name, "-purpose", "sslserver")
    moment = ("-attime", str(int(time.time()) + days * 86400))
    done = run(
        "openssl", "verify", "-CAfile", str(authority), *checks, *moment, str(certificate), allowed=None
    )
    return done.returncode == 0


def check_given(certificate: str, key: str, name: str) -> None:
    """Raises HostError unless a certificate from elsewhere fits its key and a client's URL."""
    with tempfile.TemporaryDirectory() as folder:
        certificate_file, key_file = Path(folder, "crt"), Path(folder, "key")
        key_file.touch(0o600)
        key_file.write_text(key, "utf-8")
        certificate_file.write_text(certificate, "utf-8")
        if not is_pair(certificate_file, key_file):
            raise HostError(
                "The certificate given does not fit the key given", "Give the two files that belong together"
            )
        checks = ("-verify_ip" if is_address(name) else "-verify_hostname", name)
        trusted = ("-partial_chain", "-CAfile", str(certificate_file))
        done = run("openssl", "verify", *trusted, *checks, str(certificate_file), allowed=None)
    if done.returncode:
        reason = (re.findall(r"lookup: *(.*)", done.stderr) or [done.stderr.strip()])[0]
        raise HostError(
            f"The certificate given is not good for {name} ({reason})",
            "Give one that is, or let the URLs of the clients name the host as the certificate does",
        )


def lasts(certificate: Path, days: int) -> bool:
    seconds = str(days * 86400)
    done = run("openssl", "x509", "-noout", "-checkend", seconds, "-in", str(certificate), allowed=None)
    return done.returncode == 0


def end_of(certificate: Path) -> str:
    """When a certificate ends: `2028-02-26`, or a word when openssl cannot read it."""
    done = run("openssl", "x509", "-noout", "-enddate", "-in", str(certificate), allowed=None)
    if done.returncode:
        return "unreadable"
    return time.strftime(
        "%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(done.stdout.strip().partition("=")[2]))
    )


def is_address(name: str) -> bool:
    return ":" in name or re.fullmatch(r"[0-9.]+", name) is not None
