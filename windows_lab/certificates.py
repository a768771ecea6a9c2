"""The certificate authority of a lab, and the certificates of its hosts and repositories."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Wide, so that a lab clock that was advanced by months still finds them valid.
_VALID_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(2049, 12, 30, tzinfo=UTC)


class Authority:
    """Makes `ca.pem` (give it to clients) and signs server certificates."""

    def __init__(self, state: Path) -> None:
        self.certificate_path = state / "ca.pem"
        self._key_path = state / "ca-key.pem"
        self._folder = state / "certificates"
        self._lock = threading.Lock()
        state.mkdir(parents=True, exist_ok=True)
        if self.certificate_path.exists() and self._key_path.exists():
            key = serialization.load_pem_private_key(self._key_path.read_bytes(), password=None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{self._key_path} is not a key of this lab")
            self._key = key
            self._certificate = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Windows lab authority")])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._certificate = (
            _builder(name, name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        _write_key(self._key_path, self._key)
        self.certificate_path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, addresses: Iterable[str]) -> tuple[Path, Path]:
        """Certificate and key files for a server; made once. `addresses` are IP addresses or DNS names."""
        subjects = list(dict.fromkeys(addresses))
        fingerprint = hashlib.sha256(" ".join(subjects).encode()).hexdigest()[:8]
        certificate_path = self._folder / f"{name}-{fingerprint}.pem"
        key_path = self._folder / f"{name}-{fingerprint}-key.pem"
        with self._lock:
            if certificate_path.exists() and key_path.exists():
                return certificate_path, key_path
            self._folder.mkdir(exist_ok=True)
            key = ec.generate_private_key(ec.SECP256R1())
            issuer_key = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
            certificate = (
                _builder(
                    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]),
                    self._certificate.subject,
                    key,
                )
                .add_extension(
                    x509.SubjectAlternativeName([_general_name(subject) for subject in subjects]), False
                )
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False
                )
                .sign(self._key, hashes.SHA256())
            )
            _write_key(key_path, key)
            certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return certificate_path, key_path

    def server_context(self, name: str, addresses: Iterable[str]) -> tuple[ssl.SSLContext, bytes]:
        """TLS for a listener, and the channel binding of its certificate (RFC 5929 4.1: SHA-256 of it)."""
        certificate_path, key_path = self.issue(name, addresses)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate_path, key_path)
        der = ssl.PEM_cert_to_DER_cert(certificate_path.read_text(encoding="ascii"))
        return context, hashlib.sha256(der).digest()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
    )


def _general_name(subject: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(subject))
    except ValueError:
        return x509.DNSName(subject)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
