"""What many sidecars know of each other's streams."""

from __future__ import annotations

from typing import Protocol

from sidecar.core.stream_snapshot import StreamSnapshot


class DirectoryError(Exception):
    """The directory cannot be asked; the message says why."""


class Directory(Protocol):
    """The streams of all pods; a pod is one sidecar. What it says may be some seconds old."""

    @property
    def pod(self) -> str:
        """The name of this one."""

    async def page(self, *, after: str, most: int, call: str | None) -> list[StreamSnapshot]:
        """Return how the streams are whose ids come after `after`, in that order, at most so many; of one call alone,
        if it is given. Raise `DirectoryError`."""

    async def owner(self, stream: str) -> str | None:
        """Return where the REST interface is of the pod that has a stream; None if no other has it.
        Raise `DirectoryError`."""
