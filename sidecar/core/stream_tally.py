"""What has passed through all streams of a worker, those that are over and those that are not."""

from __future__ import annotations

from operator import attrgetter

from sidecar.core.link import StreamStats

COUNTED = (
    "packets_received packets_sent packets_lost packets_late packets_duplicate packets_ignored packets_concealed "
    "packets_unauthentic filled_ms frames_dropped frames_missed telephone_events_dropped messages_sent "
    "messages_dropped messages_replayed reconnects playback_ms playback_refused_ms underruns barge_ins responses "
    "texts_refused texts_untold"
).split()
"""The fields of `StreamStats` that only grow."""

_values = attrgetter(*COUNTED)
_NOTHING = (0,) * len(COUNTED)


class StreamTally:
    """Adds up the counts of streams, each looked at now and then, and at its end."""

    def __init__(self) -> None:
        self.totals = dict.fromkeys(COUNTED, 0)
        self._seen: dict[str, tuple[int, ...]] = {}  # by the name of a leg: what is in the totals of it

    def note(self, leg: str, stats: StreamStats) -> None:
        """Take what has passed through a leg so far."""
        values = _values(stats)
        for name, value, seen in zip(COUNTED, values, self._seen.get(leg, _NOTHING), strict=True):
            if value > seen:
                self.totals[name] += value - seen
        self._seen[leg] = values

    def end(self, leg: str, stats: StreamStats) -> None:
        """Take what has passed through a leg in the end; its name may be another's from now on."""
        self.note(leg, stats)
        del self._seen[leg]
