"""How a media worker begins in a process of its own: what it is told first, its sockets, its link."""

from __future__ import annotations

import socket
from random import SystemRandom

import msgspec

from sidecar.core.link import ToWorker
from sidecar.io.media_sockets import MediaSockets, open_one_port
from sidecar.io.media_worker import MediaWorker
from sidecar.io.port_pairs import PortPairs
from sidecar.io.process_link import ProcessLink
from sidecar.io.worker_settings import WorkerSettings


class StartWorker(msgspec.Struct, frozen=True):
    """The first message on the link."""

    worker: int
    settings: WorkerSettings
    host: str  # of its media sockets
    descriptors: tuple[int, int] | None  # of RTP and RTCP, inherited; None: each call has ports of its own

    def open_sockets(self) -> MediaSockets:
        """Return the media sockets; what has come for calls of a worker before this one is thrown away."""
        if self.descriptors is None:
            return PortPairs(self.host)
        rtp, reports = (socket.socket(fileno=number) for number in self.descriptors)
        sockets = open_one_port((rtp, reports), portable=self.settings.portable)
        while sockets.datagrams.receive():
            pass
        return sockets


async def run_worker(sock: socket.socket, start: StartWorker) -> None:
    """Run a media worker until the link ends."""
    link: ProcessLink[ToWorker] = ProcessLink(
        sock, ToWorker, on_message=lambda message: worker.handle(message), on_closed=lambda _why: worker.stop()
    )
    worker = MediaWorker(
        start.settings,
        sockets=start.open_sockets(),
        random=SystemRandom(),
        to_control=link.send,
        unsaid=lambda: link.counters["dropped"],
    )
    await worker.run()
    link.finish()
