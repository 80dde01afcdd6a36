"""The telephone sides of the calls of a worker: all that is in one beside its audio.

What control says of a leg goes to the plane, to RTCP and to the watch; what comes of these is said to control.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict
from random import Random

from rtp import (
    Codec,
    Digit,
    Leg,
    MediaPlane,
    Report,
    ReportAddress,
    RtcpRows,
    Srtp,
    UnknownSources,
    address_key,
)
from sidecar.core.digit_rows import EventRows, ToneRows
from sidecar.core.leg_stats import leg_stats
from sidecar.core.link import DigitHeard, FromWorker, StreamStats
from sidecar.core.media_leg import MediaLeg, SrtpKeys
from sidecar.core.silence_watch import MediaTimeouts, SilenceWatch

ONE_PORT_REMEDY = (
    "media is taken from the address in the caller's SDP alone; with SIDECAR_RTP__MODE=ports the address is learned"
)
PORTS_REMEDY = "the address was learned from the first packet; a re-INVITE lets it be learned anew"

_MOST_KEYS = 8  # of one call, that are remembered
_NO_LEG = Leg(Codec.PCMU, 0, 0, None)


def port_key(port: int) -> int:
    """Return the key that stands for a leg with a port of its own, whatever the address of the other side is."""
    return address_key("0.0.0.0", port)  # noqa: S104  nothing is bound to it


class Legs:
    """Opens, changes and closes the rows of a `MediaPlane` for the legs that SDP has settled. Sans-IO."""

    def __init__(
        self, plane: MediaPlane, *, random: Random, timeouts: MediaTimeouts, tones: ToneRows | None = None
    ) -> None:
        """Take what is opened from now on; digits are looked for in the audio where there are `tones`."""
        self._plane = plane
        self._rtcp = RtcpRows(plane, random)
        self._watch = SilenceWatch(plane, timeouts)
        self._event_digits = EventRows(plane)
        self._tones = tones
        self._streams: dict[int, str] = {}
        self._ports: dict[int, int | None] = {}
        self._srtp: dict[int, dict[SrtpKeys, Srtp]] = {}
        self._outbox = deque[FromWorker]()

    def open(
        self, stream: str, leg: MediaLeg | None, *, port: int | None = None, unknown: UnknownSources | None = None
    ) -> int | None:
        """Take a row, or return None: see `MediaPlane.open`.

        `port` is that of the leg, if it has one of its own; then `unknown` are the sources that were not heard there.
        """
        known = dict[SrtpKeys, Srtp]()
        row = self._plane.open(_NO_LEG if leg is None else _leg(leg, port, _srtp(leg.srtp, known)))
        if row is None:
            return None
        self._streams[row], self._ports[row], self._srtp[row] = stream, port, known
        self._rtcp.open(row, None if leg is None else _report_address(leg, port))
        own_port = unknown is not None
        self._watch.open(
            row,
            stream,
            unknown=unknown or self._plane.gate.unknown_sources,
            remedy=PORTS_REMEDY if own_port else ONE_PORT_REMEDY,
        )
        if leg is not None:
            self._set(row, leg)
        return row

    def change(self, row: int, leg: MediaLeg, *, now: float) -> bool:
        """Let the leg be another, or return False: see `MediaPlane.change`."""
        srtp = _srtp(leg.srtp, self._srtp[row])
        if not self._plane.change(row, _leg(leg, self._ports[row], srtp), now=now):
            return False
        self._rtcp.change(row, _report_address(leg, self._ports[row]))
        self._event_digits.change(row)
        self._set(row, leg)
        return True

    def _set(self, row: int, leg: MediaLeg) -> None:
        self._watch.expect(row, leg.host, leg.port)
        if self._tones is not None:
            self._tones.watch(row, leg.telephone_event_payload_type is None)

    def start(self, row: int, *, receives: bool, now: float) -> None:
        """The call has media from now on; if it `receives` none, its silence means nothing."""
        self._rtcp.start(row, now=now)
        self._watch.start(row, receives=receives, now=now)

    def dial(self, row: int, digits: str, *, duration_ms: int) -> bool:
        """Send digits (RFC 4733); False if too many wait."""
        return self._plane.sending.dial(row, digits, duration_ms=duration_ms)

    def leave(self, row: int, *, now: float) -> None:
        """The leg is over, its row is kept: nothing comes from it or goes to it any more."""
        self._plane.gate.close(row)
        self._rtcp.change(row, None)
        self._watch.start(row, receives=False, now=now)
        if self._tones is not None:
            self._tones.watch(row, False)

    def counts(self) -> dict[str, dict[str, float]]:
        """Return what was counted of all calls together: by what, then why or which."""
        gate, reports, digits = self._plane.gate.counters, self._rtcp.counters, self._event_digits.counters
        return {
            "rtp_dropped": asdict(gate),
            "rtcp_dropped": asdict(reports),
            "dtmf_digits": {"": digits.digits},
            "dtmf_dropped": {"ignored": digits.ignored, "full": digits.dropped},
        }

    def stats(self, row: int) -> StreamStats:
        """Return what has passed through the leg so far."""
        heard = self._plane.reception(row)
        return leg_stats(
            sent=self._plane.sending.sent(row),
            received=self._plane.receive_counters(row),
            reception=heard and heard[1],
            clock_rate=self._plane.codec(row).clock_rate,
            quality=self._rtcp.quality(row),
            unauthentic=self._plane.gate.refused(row),
        )

    def close(self, row: int, *, now: float, wall_clock: float) -> StreamStats:
        """Give the row back, and return what passed through the leg."""
        stats = self.stats(row)
        self._rtcp.close(row, now=now, wall_clock=wall_clock)
        self._watch.close(row)
        self._event_digits.close(row)
        if self._tones is not None:
            self._tones.watch(row, False)
        del self._streams[row], self._ports[row], self._srtp[row]
        self._plane.close(row)
        return stats

    def receive_report(self, data: bytes, source: int, *, now: float) -> None:
        """Take what came to a port for RTCP; `source` is a key."""
        self._rtcp.receive_datagram(data, source, now=now)

    def handle_timeout(self, *, now: float, wall_clock: float) -> None:
        """Let time pass: reports are due, digits end, calls fall silent. `wall_clock` is in seconds since 1970."""
        self._rtcp.handle_timeout(now=now, wall_clock=wall_clock)
        self._watch.handle_timeout(now=now)
        while (event := self._watch.next_event()) is not None:
            self._outbox.append(event)
        self._tell_digits(self._event_digits.take_digits(now=now), "rfc4733")
        if self._tones is not None:
            self._tell_digits(self._tones.take_digits(), "inband")

    def reports_to_send(self) -> list[Report]:
        """Return the RTCP that is to be sent; each is given once."""
        return self._rtcp.datagrams_to_send()

    def next_event(self) -> FromWorker | None:
        """Return the next thing that control should know."""
        return self._outbox.popleft() if self._outbox else None

    def _tell_digits(self, digits: list[tuple[int, Digit]], source: str) -> None:
        for row, digit in digits:
            self._outbox.append(DigitHeard(self._streams[row], digit.digit, digit.duration_ms, source))


def _srtp(keys: SrtpKeys | None, known: dict[SrtpKeys, Srtp]) -> Srtp | None:
    """Return what encrypts a leg: the very same for keys that the call has had before.

    To count packets anew under an old key would use a part of its key stream twice (RFC 3711, section 9.1).
    """
    if keys is None:
        return None
    if keys not in known:
        if len(known) == _MOST_KEYS:
            del known[next(iter(known))]
        known[keys] = Srtp(
            send_suite=keys.send_suite,
            send_key=keys.send_key,
            receive_suite=keys.receive_suite,
            receive_key=keys.receive_key,
        )
    return known[keys]


def _leg(leg: MediaLeg, port: int | None, srtp: Srtp | None) -> Leg:
    return Leg(
        codec=Codec[leg.codec],
        payload_type=leg.payload_type,
        send_payload_type=leg.send_payload_type,
        destination=address_key(leg.host, leg.port) if port is None else port_key(port),
        sources=[address_key(host, leg.port) for host in leg.sources] if port is None else (),
        ptime_ms=leg.ptime_ms,
        telephone_event_payload_type=leg.telephone_event_payload_type,
        send_telephone_event_payload_type=leg.send_telephone_event_payload_type,
        srtp=srtp,
    )


def _report_address(leg: MediaLeg, port: int | None) -> ReportAddress | None:
    if not leg.rtcp_port:
        return None
    muxed = leg.rtcp_port == leg.port
    if port is not None:
        return ReportAddress(port_key(port), (), muxed)
    sources = tuple(address_key(host, leg.rtcp_port) for host in leg.sources)
    return ReportAddress(address_key(leg.host, leg.rtcp_port), sources, muxed)
