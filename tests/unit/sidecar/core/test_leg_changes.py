"""Which leg a worker has, and which it is asked to have."""

from __future__ import annotations

from sidecar.core.leg_changes import LegChange, LegChanges
from sidecar.core.media_leg import MediaLeg
from sidecar.core.media_negotiation import Terms
from sip import Origin


def leg(port: int) -> MediaLeg:
    return MediaLeg("PCMU", 0, 0, "192.0.2.1", port, [], rtcp_port=port + 1)


def change(port: int | None, *, answers_offer: bool = True) -> LegChange:
    return LegChange(
        Terms(b"", Origin(1, 1, "192.0.2.2"), None if port is None else leg(port), True, True), answers_offer
    )


def test_a_worker_is_asked_for_what_it_has_not_or_will_not_have() -> None:
    asked: list[MediaLeg] = []
    changes = LegChanges(leg(4000), asked.append)
    assert not changes.begin(change(None))
    assert not changes.begin(change(4000))
    assert changes.are_done
    away, back = change(5000), change(4000)
    assert changes.begin(away)
    assert changes.begin(back), "when it is asked this, it has the other"
    assert asked == [leg(5000), leg(4000)]
    assert not changes.are_done
    assert changes.agreed() is away
    assert changes.leg == leg(5000)
    assert changes.refused() is back
    assert changes.leg == leg(5000)
    assert changes.are_done


def test_what_is_withdrawn_is_undone_once_nothing_else_waits() -> None:
    asked: list[MediaLeg] = []
    changes = LegChanges(leg(4000), asked.append)
    offered, answered = change(5000), change(6000, answers_offer=False)
    changes.begin(offered)
    changes.begin(answered)
    changes.withdraw_offer()
    assert (offered.is_withdrawn, answered.is_withdrawn) == (True, False)
    changes.agreed()
    changes.undo_withdrawn(change(4000).terms)
    assert len(asked) == 2
    changes.refused()
    changes.undo_withdrawn(None)
    assert len(asked) == 2
    changes.undo_withdrawn(change(4000).terms)
    assert asked[2:] == [leg(4000)]


def test_no_more_than_some_may_wait() -> None:
    changes = LegChanges(None, lambda _: None)
    for port in range(4000, 4016, 2):
        assert not changes.is_full
        assert changes.begin(change(port))
    assert changes.is_full
