"""What a bot's goodbye means for the call."""

from __future__ import annotations

import pytest

from sidecar.core.cause import (
    Cause,
    cause_of_close,
    parse_cause,
    reason_headers,
    refusal_status,
    warning_headers,
)


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_a_bot_that_is_done_ends_the_call_normally(code: int) -> None:
    assert cause_of_close(code, "bye") == (Cause.NORMAL_CLEARING, "the bot has closed")


@pytest.mark.parametrize("code", [1002, 1003, 1008, 1009, 1011, 1012, 1013, 3000, 4999])
def test_a_bot_that_has_failed_is_a_temporary_failure_with_its_reason(code: int) -> None:
    assert cause_of_close(code, "oops") == (Cause.NORMAL_TEMPORARY_FAILURE, f"the bot has closed: {code} oops")
    assert cause_of_close(code, "") == (Cause.NORMAL_TEMPORARY_FAILURE, f"the bot has closed: {code}")


def test_headers_hold_no_more_than_they_may() -> None:
    text = 'a "b"\\\r\nX: \u20ac' + 300 * "x"
    assert reason_headers(Cause.NORMAL_TEMPORARY_FAILURE, text)[0][1].startswith(
        "Q.850;cause=41;text=\"a 'b''''X: 'xxx"
    )
    (warning,) = warning_headers("192.0.2.1", text)
    assert warning[1].startswith("399 192.0.2.1 \"a 'b''''X: 'xxx")
    assert len(warning[1]) < 250


def test_a_cause_may_be_given_by_number_or_name() -> None:
    assert parse_cause(None) == Cause.NORMAL_CLEARING
    assert parse_cause(99) == 99
    assert parse_cause("21") == 21
    assert parse_cause("user_busy") == 17
    assert parse_cause("NORMAL_TEMPORARY_FAILURE") == 41


@pytest.mark.parametrize("given", [0, 128, -1, "", "0", "021", "128", "1.5", "BOREDOM"])
def test_another_cause_is_refused(given: int | str) -> None:
    with pytest.raises(ValueError, match=r"cause: not 1 to 127, nor a name of Q\.850"):
        parse_cause(given)


@pytest.mark.parametrize(("cause", "status"), [(16, 480), (17, 486), (1, 404), (21, 603), (42, 503), (99, 480)])
def test_a_call_that_is_not_answered_is_refused_for_that_cause(cause: int, status: int) -> None:
    assert refusal_status(cause) == status
