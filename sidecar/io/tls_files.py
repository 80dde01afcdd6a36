"""TLS by files: our certificate, and whom we trust. TLS 1.2 at least."""

from __future__ import annotations

import ssl
from pathlib import Path


class TlsError(Exception):
    """A file of TLS cannot be used; the message names the setting and says why."""


def server_context(certificate: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """Return what accepts connections; with `client_ca`, only from who has a certificate that it has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _load_authority(context, client_ca, "tls_client_ca")
    return context


def client_context(ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return what opens connections: to who has a certificate for its address, signed by `ca` or one the system trusts.

    Our own certificate is shown to whoever asks for it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is None:
        context.load_default_certs()
    else:
        _load_authority(context, ca, "tls_ca")
    if certificate is not None:
        _load_certificate(context, certificate, key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    for path, field in ((certificate, "tls_certificate"), (key, "tls_key")):
        if path is not None:
            _check_readable(path, field)
    try:
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        why = f" ({error.reason})" if error.reason else ""
        raise TlsError(
            f"tls_certificate, tls_key: no certificate and its key in PEM, without a password{why}"
        ) from None


def _load_authority(context: ssl.SSLContext, path: Path, field: str) -> None:
    _check_readable(path, field)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise TlsError(f"{field}: {path} holds no certificates in PEM") from None


def _check_readable(path: Path, field: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise TlsError(f"{field}: {path}: {error.strerror}") from None
