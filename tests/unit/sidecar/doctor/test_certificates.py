"""Until when certificates are good."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sidecar.doctor.certificates import file_finding, validity
from sidecar.doctor.finding import Verdict
from tests.support.certificates import Authority, write_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])


def certificate(begins: datetime, ends: datetime) -> bytes:
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


seconds = st.integers(0, 4_000_000_000)  # 1970 to 2096: both forms of a time


@given(seconds, seconds)
def test_the_days_are_those_that_were_signed(one: int, other: int) -> None:
    begins, ends = (datetime.fromtimestamp(each, UTC) for each in sorted((one, other)))
    assert validity(certificate(begins, ends)) == (begins, ends)


@given(st.integers(0, 200), st.binary(max_size=200))
def test_what_is_none_is_a_value_error(cut: int, garbage: bytes) -> None:
    whole = certificate(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    for data in (garbage, whole[:cut], whole[:cut] + garbage):
        with contextlib.suppress(ValueError):
            validity(data)


@pytest.mark.parametrize(
    ("days", "verdict", "said"),
    [
        (90, Verdict.OK, "until 20"),
        (13, Verdict.WARN, "in 12 days"),
        (-1, Verdict.FAIL, "has expired"),
    ],
)
def test_a_file_is_judged(days: int, verdict: Verdict, said: str, tmp_path: Path) -> None:
    path = write_certificate(tmp_path, days=days)
    found = file_finding("sip.tls_certificate", path, now=datetime.now(UTC))
    assert found.verdict is verdict
    assert said in found.what
    assert str(path) in found.what


def test_a_clock_that_is_years_behind_is_seen(tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2000)
    found = file_finding("sip.tls_certificate", write_certificate(tmp_path), now=long_ago)
    assert found.verdict is Verdict.FAIL
    assert "not valid before" in found.what


def test_the_first_certificate_of_a_chain_counts(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(authority.issue(days=40).read_bytes() + authority.path.read_bytes())
    assert file_finding("sip.tls_certificate", chain, now=datetime.now(UTC)).verdict is Verdict.OK


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"])
def test_a_file_without_one_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pem"
    assert "No such file" in file_finding("x", path, now=datetime.now(UTC)).what
    path.write_bytes(content)
    found = file_finding("x", path, now=datetime.now(UTC))
    assert found.verdict is Verdict.FAIL
    assert "no certificate" in found.what
