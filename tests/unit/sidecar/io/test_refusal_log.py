"""What the log is told of calls and callers that have no stream."""

from __future__ import annotations

from structlog.testing import capture_logs

from sidecar.io.refusal_log import RefusalLog
from tests.support.call_rig import CallRig

OPTIONS = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n"


def test_strangers_are_told_of_once_a_minute() -> None:
    rig = CallRig()
    refusals = RefusalLog(rig.agent, rig.control)
    with capture_logs() as logs:
        refusals.look(now=1.0)
        assert logs == []
        for now in (2.0, 3.0, 61.0, 62.0, 200.0):
            if now < 100:
                rig.from_elsewhere(OPTIONS, ("192.0.2.1", 5060))
            refusals.look(now=now)
    assert [(line["messages"], line["peer"]) for line in logs] == [(1, "192.0.2.1"), (3, "192.0.2.1")]
    assert {(line["event"], line["setting"]) for line in logs} == {("SIP is not allowed", "sip.allow")}
