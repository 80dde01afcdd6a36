"""Certificate authorities for tests."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificate(directory: Path, *, address: str = "127.0.0.1", days: int = 1) -> Path:
    """Write a self-signed certificate for an address, and its key, into one PEM file; it is its own authority.

    Negative `days` give one that has expired.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("test")
    certificate = _builder(key, name, name, days).add_extension(_alternative(address), critical=False)
    return _write(directory / "certificate.pem", certificate.sign(key, hashes.SHA256()), key)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; its own is in `path`."""

    directory: Path
    path: Path
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, directory: Path) -> Authority:
        """Make an authority with a key of its own."""
        directory.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(key, _name("authority"), _name("authority"), 1).add_extension(basic, critical=True)
        path = directory / "authority.pem"
        path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return cls(directory, path, key)

    def issue(self, address: str = "127.0.0.1", *, days: int = 1) -> Path:
        """Write a certificate for an address and its key into one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(key, _name(address), _name("authority"), days)
        certificate = builder.add_extension(_alternative(address), critical=False).sign(self.key, hashes.SHA256())
        return _write(self.directory / f"{address}_{days}.pem", certificate, key)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(address: str) -> x509.SubjectAlternativeName:
    try:
        return x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    except ValueError:
        return x509.SubjectAlternativeName([x509.DNSName(address)])


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
