"""The sockets that a sidecar listens on, all of them or none."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from sidecar.io.media_sockets import bound_ports
from sidecar.io.network import bound_pair, bound_socket
from sidecar.settings import ApiSettings, Settings, SipSettings

_SIP_RECEIVE_BUFFER = 1 << 20

MediaPorts = tuple[socket.socket, socket.socket]
"""Of RTP and RTCP."""


@dataclass(frozen=True, slots=True)
class SipSockets:
    """Where SIP comes."""

    udp: socket.socket
    tcp: socket.socket
    tls: socket.socket | None


@dataclass(frozen=True, slots=True)
class Sockets:
    """Where anything comes."""

    sip: SipSockets
    api: socket.socket | None
    media: Sequence[MediaPorts]  # of each worker; none, if calls have ports of their own


def bind_all(settings: Settings) -> Sockets:
    """Bind all that is listened on; raise OSError if a port is taken, with nothing left."""
    with ExitStack() as unused:
        sockets = Sockets(
            _bind_sip(settings.sip, unused), _bind_api(settings.api, unused), _bind_media(settings, unused)
        )
        unused.pop_all()
    return sockets


def port_of(sock: socket.socket | None) -> int:
    """Return the port that a socket is bound to; 0: there is none."""
    return 0 if sock is None else int(sock.getsockname()[1])


def _bind_sip(settings: SipSettings, unused: ExitStack) -> SipSockets:
    udp, tcp = bound_pair(settings.host, settings.port)
    unused.enter_context(udp)
    unused.enter_context(tcp)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SIP_RECEIVE_BUFFER)
    if settings.tls_certificate is None:
        return SipSockets(udp, tcp, None)
    tls = bound_socket(settings.host, settings.tls_port, socket.SOCK_STREAM)
    return SipSockets(udp, tcp, unused.enter_context(tls))


def _bind_api(settings: ApiSettings, unused: ExitStack) -> socket.socket | None:
    if not settings.enabled:
        return None
    return unused.enter_context(bound_socket(settings.host, settings.port, socket.SOCK_STREAM))


def _bind_media(settings: Settings, unused: ExitStack) -> list[MediaPorts]:
    bound = []
    for port in settings.rtp_ports():
        bound.append(bound_ports(settings.rtp.host, port))
        for sock in bound[-1]:
            unused.enter_context(sock)
    return bound
