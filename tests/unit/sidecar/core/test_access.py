from __future__ import annotations

import pytest

from sidecar.core.access import AccessList, AccessToken, Scope, check_token

OPS = AccessToken("ops", Scope.FULL, "0123456789abcdef")
GRAFANA = AccessToken("grafana", Scope.READ, "fedcba9876543210==")


def test_a_token_is_found_by_its_secret() -> None:
    access = AccessList([OPS, GRAFANA])
    assert not access.is_open
    assert access.find(b"Bearer 0123456789abcdef") is OPS
    assert access.find(b"bearer  fedcba9876543210== ") is GRAFANA


@pytest.mark.parametrize(
    "authorization",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic 0123456789abcdef",
        b"0123456789abcdef",
        b"Bearer 0123456789abcde",
        b"\xff \xff",
    ],
)
def test_what_is_no_token_finds_none(authorization: bytes) -> None:
    assert AccessList([OPS, GRAFANA]).find(authorization) is None


def test_without_tokens_all_is_open() -> None:
    assert AccessList([]).is_open


def test_a_token_is_not_shown() -> None:
    assert OPS.secret not in repr(OPS)


def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused() -> None:
    check_token(OPS.secret)
    for secret, why in (("short", "16 characters"), ("0123456789 abcdef", "RFC 6750"), ("ä" * 20, "RFC 6750")):
        with pytest.raises(ValueError, match=why) as error:
            check_token(secret)
        assert secret not in str(error.value)
