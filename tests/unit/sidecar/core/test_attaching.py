from __future__ import annotations

from sidecar.core.attaching import AttachError


def test_what_went_wrong_says_how_http_says_it() -> None:
    error = AttachError("there is no call 1234", http_status=404)
    assert (str(error), error.http_status) == ("there is no call 1234", 404)
