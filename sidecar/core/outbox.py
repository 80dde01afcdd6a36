"""What waits to be written to a bot that does not read fast enough."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outbox:
    """Whole WebSocket frames in order. Of audio it keeps the newest `capacity_bytes`: the oldest goes, and is counted.

    Control frames and text are never dropped, nor is a frame of which a part has been written.
    """

    capacity_bytes: int
    dropped: int = 0
    audio_bytes: int = 0
    overflows: bool = False  # audio has been dropped since it was empty
    _other_frames: int = 0
    _frames: deque[tuple[bytes, bool]] = field(default_factory=deque)  # (frame, is audio)
    _begun: bytes = b""  # the rest of a frame that is partly written

    def __bool__(self) -> bool:
        return bool(self._begun or self._frames)

    @property
    def begun(self) -> bool:
        """Whether something must be written before all else."""
        return bool(self._begun)

    @property
    def begun_bytes(self) -> int:
        """How much of that frame is left."""
        return len(self._begun)

    def put_ahead(self, rest: bytes) -> None:
        """Queue before all others: the handshake, or what could not be written of the frame that was begun."""
        assert not self._begun
        self._begun = rest

    @property
    def other_frames(self) -> int:
        """How many frames wait that are not audio."""
        return self._other_frames

    def put(self, frame: bytes) -> None:
        """Queue a control or text frame."""
        self._frames.append((frame, False))
        self._other_frames += 1

    def put_audio(self, frame: bytes) -> None:
        """Queue an audio frame; make room for it if there is none."""
        self._frames.append((frame, True))
        self.audio_bytes += len(frame)
        while self.audio_bytes > self.capacity_bytes:
            self._drop_oldest_audio()

    def take(self) -> bytes:
        """Return what is to be written next; what cannot be written goes back by `put_ahead`."""
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        frame, is_audio = self._frames.popleft()
        if is_audio:
            self.audio_bytes -= len(frame)
        else:
            self._other_frames -= 1
        self.overflows = self.overflows and bool(self._frames)
        return frame

    def take_audio(self) -> list[bytes]:
        """Return the audio frames of which nothing has been written: the connection is lost, and all else with it.

        The rest of a frame that was begun stays: if there is a goodbye to say yet, it comes after that.
        """
        frames = [frame for frame, is_audio in self._frames if is_audio]
        self._frames.clear()
        self.audio_bytes, self._other_frames, self.overflows = 0, 0, False
        return frames

    def last_words(self) -> bytes:
        """Return what is to be written before the end: the frame that was begun, and the last that is not audio."""
        last = next((frame for frame, is_audio in reversed(self._frames) if not is_audio), b"")
        return self._begun + last

    def _drop_oldest_audio(self) -> None:
        at = next(at for at, (_, is_audio) in enumerate(self._frames) if is_audio)
        self.audio_bytes -= len(self._frames[at][0])
        del self._frames[at]
        self.dropped += 1
        self.overflows = True
