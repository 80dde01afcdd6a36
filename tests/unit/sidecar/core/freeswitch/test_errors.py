"""What a failure to attach says."""

from __future__ import annotations

from sidecar.core.freeswitch.errors import AttachFailed, Failure


def test_a_failure_has_a_status_and_the_cause_of_freeswitch() -> None:
    error = AttachFailed(Failure.REFUSED, "the leg was refused: USER_BUSY", cause="USER_BUSY")
    assert (error.http_status, error.cause, str(error)) == (502, "USER_BUSY", "the leg was refused: USER_BUSY")
