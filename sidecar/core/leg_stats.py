"""What passed through a leg, in figures."""

from __future__ import annotations

from rtp import Impairment, Quality, ReceiveCounters, Reception, Sent, mean_opinion_score, rating
from sidecar.core.link import StreamStats


def leg_stats(
    *,
    sent: Sent,
    received: ReceiveCounters,
    reception: Reception | None,
    clock_rate: int,
    quality: Quality | None,
    unauthentic: int,
) -> StreamStats:
    """Put together what was counted; `quality` is None if the other side has not reported.

    The estimate of how the caller was heard is of the whole call.
    """
    round_trip = quality.round_trip if quality else None
    loss = received.lost / (received.received + received.lost) if received.received else 0.0
    mos = mean_opinion_score(rating(delay=(round_trip or 0.0) / 2, loss=loss, impairment=Impairment()))
    return StreamStats(
        packets_received=received.received,
        packets_sent=sent.packets,
        packets_lost=received.lost,
        packets_late=received.late,
        packets_duplicate=received.duplicate,
        packets_ignored=received.ignored,
        packets_concealed=received.concealed,
        packets_unauthentic=unauthentic,
        filled_ms=received.filled_ms,
        frames_dropped=received.overrun_frames,
        telephone_events_dropped=received.dropped_events,
        jitter_ms=round(1000 * reception.jitter / clock_rate, 1) if reception else 0.0,
        round_trip_ms=None if round_trip is None else round(1000 * round_trip, 1),
        remote_loss=round(quality.outbound_loss, 4) if quality else 0.0,
        remote_jitter_ms=round(1000 * quality.outbound_jitter, 1) if quality else 0.0,
        mos=round(mos, 2) if received.received else None,
        remote_mos=round(quality.outbound_mos, 2) if quality else None,
    )
