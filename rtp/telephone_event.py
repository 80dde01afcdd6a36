"""What a stream hands over to whoever knows telephone events."""

from __future__ import annotations

from typing import NamedTuple


class TelephoneEvent(NamedTuple):
    """A packet of RFC 4733, as it came: in the order of the sequence numbers, each once."""

    timestamp: int
    payload: bytes
    marker: bool
