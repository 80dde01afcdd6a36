"""A media worker inside the control process: the same, but for the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sidecar.core.link import FromWorker, ToWorker
from sidecar.io.inside_link import InProcessLink
from sidecar.io.media_worker import MediaWorker
from sidecar.io.worker_process import OnMessage


class WorkerInside:
    """Runs one worker in the loop of control. They live and die together."""

    number = 0

    def __init__(self, make: Callable[[Callable[[FromWorker], None]], MediaWorker], *, on_message: OnMessage) -> None:
        """`make` returns a worker that speaks to control by the function given."""
        self._link = InProcessLink()
        self.worker = make(self._link.to_control)
        self._link.on_worker = self.worker.handle
        self._link.on_control = lambda message: on_message(self.number, message)

    @property
    def link_counters(self) -> Mapping[str, int]:
        """There is no wire."""
        return dict.fromkeys(("sent", "received", "writes", "dropped"), 0)

    @property
    def link_waiting(self) -> int:
        """There is no wire."""
        return 0

    def send(self, message: ToWorker) -> None:
        """Tell the worker."""
        self._link.to_worker(message)

    def stop(self) -> None:
        """End the worker, then `run`."""
        self.worker.stop()

    async def run(self) -> None:
        """Run the worker until `stop` is called."""
        await self.worker.run()
