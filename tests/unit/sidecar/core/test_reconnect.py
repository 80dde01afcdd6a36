"""Whether a bot that is gone may be asked again."""

from __future__ import annotations

import pytest

from sidecar.core.bot_connection import Closed, Failed
from sidecar.core.errors import ErrorCode
from sidecar.core.reconnect import is_loss, may_reconnect


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1000, False),
        (1005, False),
        (1002, False),
        (1003, False),
        (1007, False),
        (1008, False),
        (1009, False),
        (4000, False),
        (1001, True),
        (1011, True),
        (1012, True),
        (1013, True),
        (1014, True),
    ],
)
def test_a_bot_that_said_goodbye_is_left_alone(code: int, expected: bool) -> None:
    assert may_reconnect(Closed(code, "")) is expected


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_bot_that_was_cut_off_is_tried_again_unless_it_is_hopeless(code: ErrorCode) -> None:
    comes_back = {
        ErrorCode.IO,
        ErrorCode.INVALID_HEADER,
        ErrorCode.PING_TIMEOUT,
        ErrorCode.CONNECT_FAILED,
        ErrorCode.SSL_HANDSHAKE_FAILED,
        ErrorCode.TIMEOUT,
    }
    assert may_reconnect(Failed(code, "")) is (code in comes_back)


def test_a_bot_that_must_not_be_called_is_not_tried_again() -> None:
    assert not may_reconnect(Failed(ErrorCode.CONNECT_FAILED, "", forbidden=True))


def test_who_means_to_go_is_not_lost() -> None:
    assert is_loss(Closed(1012, ""))
    assert is_loss(Failed(ErrorCode.PROTOCOL, ""))
    assert not is_loss(Closed(1000, ""))
