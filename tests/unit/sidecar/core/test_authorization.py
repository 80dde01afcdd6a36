"""The Authorization header, and where it comes from."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.authorization import SecretSource, authorization_header, check_auth, secret_source


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("basic Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),  # RFC 7617, section 2
        ("Basic test:123\u00a3", "Basic dGVzdDoxMjPCow=="),  # RFC 7617, section 2.1
        ("basic user:", "Basic dXNlcjo="),
        ("bearer mF_9.B5f-4.1JqM\n", "Bearer mF_9.B5f-4.1JqM"),  # RFC 6750, section 2.1
        ("BEARER a==", "Bearer a=="),
    ],
)
def test_a_secret_becomes_a_header(text: str, header: str) -> None:
    assert authorization_header(text) == header


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("env:BOT_TOKEN", (SecretSource.ENV, "BOT_TOKEN")),
        (" FILE:/run/secrets/bot ", (SecretSource.FILE, "/run/secrets/bot")),
        ("bearer env:X", None),
        ("basic a:b", None),
    ],
)
def test_a_secret_may_be_kept_elsewhere(text: str, source: tuple[SecretSource, str] | None) -> None:
    assert secret_source(text) == source


@given(st.text(max_size=30) | st.builds("{}{}".format, st.sampled_from(["basic a:", "bearer ", "env:"]), st.text()))
def test_what_passes_the_check_is_one_line_of_ascii(text: str) -> None:
    with contextlib.suppress(ValueError):
        check_auth(text)
        if secret_source(text) is None:
            assert re.fullmatch(r"[ -~]+", authorization_header(text))
