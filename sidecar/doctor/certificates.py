"""Certificates: until when are they good?"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sidecar.doctor.finding import Finding, fail, ok, warn

_SOON = timedelta(days=14)
_SEQUENCE, _EXPLICIT_VERSION, _UTC_TIME = 0x30, 0xA0, 0x17
_END = "-----END CERTIFICATE-----"


def file_finding(check: str, path: Path, *, now: datetime) -> Finding:
    """Judge the first certificate in a PEM file: the others are of those who have signed it."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
        begin = text.index("-----BEGIN CERTIFICATE-----")
        der = ssl.PEM_cert_to_DER_cert(text[begin : text.index(_END, begin) + len(_END)])
        return validity_finding(check, str(path), *validity(der), now=now)
    except OSError as error:
        return fail(check, f"{path}: {error.strerror}", "let this user read it, or name another")
    except ValueError:
        return fail(check, f"{path}: no certificate in PEM", "name the file with the certificate first")


def validity_finding(check: str, what: str, begins: datetime, ends: datetime, *, now: datetime) -> Finding:
    """Judge the days of a certificate."""
    if now < begins:
        return fail(check, f"{what}: not valid before {begins:%Y-%m-%d %H:%M} UTC", "set the clock right, or wait")
    if now > ends:
        return fail(check, f"{what}: has expired on {ends:%Y-%m-%d}", "renew it")
    if now > ends - _SOON:
        return warn(check, f"{what}: expires on {ends:%Y-%m-%d}, in {(ends - now).days} days", "renew it")
    return ok(check, f"{what}: until {ends:%Y-%m-%d}")


def validity(der: bytes) -> tuple[datetime, datetime]:
    """Return from when until when a certificate is valid (RFC 5280, section 4.1); raise ValueError if it is none."""
    _, certificate, _ = _element(der)
    _, signed, _ = _element(certificate)
    tag, _, rest = _element(signed)
    for _ in range(3 if tag == _EXPLICIT_VERSION else 2):  # serial number, algorithm, issuer
        tag, content, rest = _element(rest)
    tag, content, _ = _element(rest)
    if tag != _SEQUENCE:
        raise ValueError("not a certificate")
    begins_tag, begins, rest = _element(content)
    ends_tag, ends, _ = _element(rest)
    return _time(begins_tag, begins), _time(ends_tag, ends)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Take an element of DER (X.690) apart: its tag, its content, and what follows it."""
    if len(data) < 2:
        raise ValueError("cut off")
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise ValueError("cut off")
    return data[0], data[start : start + length], data[start + length :]


def _time(tag: int, content: bytes) -> datetime:
    """Read UTCTime or GeneralizedTime."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: RFC 5280, section 4.1.2.5.1
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
