"""What control counts of calls, beside what the SIP agent does."""

from __future__ import annotations

from collections import Counter

from sidecar.core.histogram import Histogram

SET_UP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CallFigures:
    """Every number only grows; the keys are words and numbers of ours, never a peer's."""

    def __init__(self) -> None:
        self.set_up = Histogram(SET_UP_SECONDS)  # from the INVITE to our answer, of calls that were answered
        self.ended: Counter[str] = Counter()  # by the name of the `EndCause`
        self.refused: Counter[int] = Counter()  # by status: calls for what they ask for
        self.errors: Counter[int] = Counter()  # events `error`, by `ErrorCode`
        self.legs_refused = 0  # by workers: no room, or an address that another call has
        self.infos_refused = 0  # of calls that are over
