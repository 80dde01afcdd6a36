"""What media workers count, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from rtp import GateCounters, RtcpRowsCounters
from sidecar.api.metric_families import counter, each, gauge, histogram, one
from sidecar.core.worker_counts import WorkerTotals


class _Counted(NamedTuple):
    """How a count of a worker is told."""

    name: str
    text: str
    label: str = ""
    values: tuple[str, ...] = ()  # that its label has
    unit: float = 1.0


_MS = 0.001


def _names(counters: type[Any]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(counters))


_COUNTED: Mapping[str, _Counted] = {
    "packets_received": _Counted("rtp_packets_received", "RTP packets of callers"),
    "packets_sent": _Counted("rtp_packets_sent", "RTP packets sent to callers"),
    "packets_lost": _Counted("rtp_packets_lost", "RTP packets that did not come in time"),
    "packets_late": _Counted("rtp_packets_late", "RTP packets that came when they had been given up"),
    "packets_duplicate": _Counted("rtp_packets_duplicate", "RTP packets that came twice"),
    "packets_ignored": _Counted("rtp_packets_ignored", "RTP packets that were not audio of their call"),
    "packets_concealed": _Counted("rtp_packets_concealed", "RTP packets in whose place audio was made up"),
    "packets_unauthentic": _Counted("rtp_packets_unauthentic", "RTP packets that were not encrypted as agreed"),
    "filled_ms": _Counted("rtp_filled_seconds", "Noise played in pauses", unit=_MS),
    "rtp_dropped": _Counted("rtp_dropped", "Datagrams that reached no call", "reason", _names(GateCounters)),
    "rtcp_dropped": _Counted("rtcp_dropped", "RTCP datagrams that reached no call", "reason", _names(RtcpRowsCounters)),
    "rtp_send_errors": _Counted("rtp_send_errors", "RTP datagrams that could not be sent"),
    "frames_dropped": _Counted("frames_dropped", "Frames of callers that were too many for a jitter buffer"),
    "frames_missed": _Counted("frames_missed", "Turns at which one of two voices was not there"),
    "grid_ticks_skipped": _Counted("grid_ticks_skipped", "Ticks left out after a stall"),
    "telephone_events_dropped": _Counted("telephone_events_dropped", "Packets of digits that were too many"),
    "dtmf_digits": _Counted("dtmf_digits", "Digits heard as telephone events"),
    "dtmf_dropped": _Counted(
        "dtmf_dropped", "Packets that were no digits, and digits that were too many", "reason", ("ignored", "full")
    ),
    "messages_sent": _Counted("bot_messages_sent", "Messages of audio for bots"),
    "messages_dropped": _Counted("bot_messages_dropped", "Messages of audio that no bot has got"),
    "messages_replayed": _Counted("bot_messages_replayed", "Messages of audio that bots have got late"),
    "reconnects": _Counted("bot_reconnects", "Bots that were lost and reached again"),
    "bot_goodbyes_cut": _Counted("bot_goodbyes_cut", "Bots that had not closed the connection in time after a goodbye"),
    "playback_ms": _Counted("playback_seconds", "Audio of bots that was played", unit=_MS),
    "playback_refused_ms": _Counted("playback_refused_seconds", "Audio of bots that was too much", unit=_MS),
    "underruns": _Counted("playback_underruns", "Times that audio of a bot ran dry"),
    "texts_refused": _Counted("bot_texts_refused", "Texts of bots that were too much to be looked at"),
    "texts_untold": _Counted("bot_texts_untold", "Texts of bots that were too much to be events"),
    "barge_ins": _Counted("barge_ins", "Times that a caller interrupted"),
    "responses": _Counted("bot_responses", "Times that a bot answered what a caller said"),
    "clips_refused": _Counted(
        "clips_refused", "Clips that were too many, or could not be decoded", "reason", ("full", "decoder")
    ),
    "clip_decoder_starts": _Counted("clip_decoder_starts", "Processes that decode clips"),
    "link_dropped": _Counted("worker_texts_dropped", "Texts that workers could not tell, as the link was full"),
}
_HISTOGRAMS = {
    "grid_late_seconds": "By how much ticks of the media grid came late",
    "rtp_batch_datagrams": "RTP datagrams read at once",
    "bot_connect_seconds": "From looking a bot up to its answer to the handshake",
    "bot_round_trip_seconds": "TCP's estimate of the way to a bot and back",
    "bot_response_seconds": "From the end of what a caller said to the bot's answer",
}


class WorkerMetrics(Collector):
    """Of what media workers do; they tell once a second, of live streams some at a time."""

    def __init__(self, totals: WorkerTotals) -> None:
        self._totals = totals

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        for key, told in _COUNTED.items():
            counted = self._totals.counts.get(key, {})
            if told.label:
                yield counter(
                    told.name, told.text, each({name: counted.get(name, 0) for name in told.values}), told.label
                )
            else:
                yield counter(told.name, told.text, one(told.unit * counted.get("", 0)))
        for name, text in _HISTOGRAMS.items():
            yield histogram(name, text, self._totals.histograms[name])
        waiting = self._totals.level("clips_waiting_bytes")
        yield gauge("clips_waiting_bytes", "Clips, as base64, that wait to be decoded", one(waiting))
