"""The clips of all streams on their way into their queues: those of one stream one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog

from sidecar.core.clip import ClipError, ClipKind, decoded_pieces
from sidecar.core.player import ClipToDecode, Player
from sidecar.io.clip_decoder import ClipDecoder

log = structlog.get_logger(__name__)

_MOST_BYTES = 32 << 20
"""Of base64, that wait for one stream: two messages of the largest size."""

_MOST_BYTES_IN_ALL = 256 << 20


@dataclass(eq=False, slots=True)
class _Line:
    """The clips of one stream that wait."""

    clips: deque[ClipToDecode] = field(default_factory=deque)
    size: int = 0  # bytes of base64


class Clips:
    """Decodes clips: what is raw and of the right rate here, a little at a time, all else in the decoder's process."""

    def __init__(self, decoder: ClipDecoder, *, loop: asyncio.AbstractEventLoop) -> None:
        self._decoder = decoder
        self._loop = loop
        self._lines: dict[Player, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._size = 0
        self.refused = 0  # that found no room

    def add(self, name: str, player: Player, clip: ClipToDecode, *, done: Callable[[], None]) -> None:
        """Decode a clip of the stream `name`; `done` is called whenever its player may have something to say."""
        line, size = self._lines.get(player), len(clip.clip.encoded)
        if (line.size if line else 0) + size > _MOST_BYTES or self._size + size > _MOST_BYTES_IN_ALL:
            self.refused += 1
            player.end_clip(clip, "too much audio waits to be decoded", now=self._loop.time())
            return
        self._size += size
        if line is not None:
            line.clips.append(clip)
            line.size += size
            return
        line = self._lines[player] = _Line(deque([clip]), size)
        task = self._loop.create_task(self._run(name, player, line, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def counts(self) -> dict[str, dict[str, float]]:
        """Return what was counted."""
        return {
            "clips_refused": {"full": self.refused, "decoder": self._decoder.refused},
            "clip_decoder_starts": {"": self._decoder.restarts},
        }

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of base64 wait."""
        return self._size

    async def close(self) -> None:
        """Leave what is not decoded yet, and end the process."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._decoder.close()

    async def _run(self, name: str, player: Player, line: _Line, done: Callable[[], None]) -> None:
        try:
            while line.clips:
                clip = line.clips.popleft()
                error = await self._decode(name, player, clip, done)
                player.end_clip(clip, error, now=self._loop.time())
                done()
                line.size -= len(clip.clip.encoded)
                self._size -= len(clip.clip.encoded)
        finally:
            del self._lines[player]

    async def _decode(self, name: str, player: Player, clip: ClipToDecode, done: Callable[[], None]) -> str | None:
        """Queue a clip bit by bit; return what is wrong with it."""
        try:
            async with aclosing(self._pieces(name, player, clip)) as pieces:
                async for pcm in pieces:
                    player.write_clip(clip, pcm, now=self._loop.time())
                    done()
        except ClipError as error:
            return str(error)
        except Exception:  # a mistake of ours costs this clip
            log.exception("clip not decoded", stream=name)
            return "internal error"
        return None

    async def _pieces(self, name: str, player: Player, clip: ClipToDecode) -> AsyncGenerator[bytes, None]:
        if clip.clip.kind is not ClipKind.RAW or clip.clip.rate != clip.rate:
            decoding = self._decoder.decode(name, clip.clip, clip.rate, wanted=lambda: player.wants(clip))
            async with aclosing(decoding) as decoded:
                async for pcm in decoded:
                    yield pcm
            return
        for pcm in decoded_pieces(clip.clip.encoded):
            yield clip.whole_samples(pcm)
            await asyncio.sleep(0)  # others have their turn
