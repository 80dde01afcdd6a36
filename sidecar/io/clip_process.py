"""The process that decodes clips, one after the other: `python -m sidecar.io.clip_process`.

What strangers have encoded goes through code that strangers have written in C. Here it can neither stop a call's clock
nor read its secrets, take more than its share of memory, or take anything down with it but itself.
"""

from __future__ import annotations

import binascii
import io
import resource
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import cast

import av
import msgspec
from av.audio.codeccontext import AudioCodecContext

from sidecar.core.clip import ClipError, ClipKind
from sidecar.io.clip_jobs import LENGTH_BYTES, ClipAnswer, ClipDone, ClipJob, PcmDecoded, framed

_MOST_MEMORY = 1 << 30
_MOST_STREAMS = 4096
_PIECE_SECONDS = 0.1
_CODECS = frozenset(
    "pcm_s16le pcm_u8 pcm_s24le pcm_s32le pcm_f32le pcm_mulaw pcm_alaw mp3 mp3float vorbis opus libopus flac".split()
)
_FORMATS = {ClipKind.WAV: "wav", ClipKind.MP3: "mp3", ClipKind.OGG: "ogg"}
_PACKETS = {ClipKind.RAW: "pcm_s16le", ClipKind.PCMU: "pcm_mulaw", ClipKind.PCMA: "pcm_alaw", ClipKind.OPUS: "libopus"}
_OPUS_HZ = 48_000
_MOST_CHANNELS = 8


class _Joint:
    """Decoder and resampler of a stream's pieces of one format, which go on where the last piece has ended."""

    def __init__(self, kind: ClipKind, rate_in: int, rate_out: int) -> None:
        self.key = (kind, rate_in, rate_out)
        self._half = b""  # of a sample
        self._rate_in = rate_in
        self._decoder = cast(AudioCodecContext, av.CodecContext.create(_PACKETS[kind], "r"))
        self._decoder.sample_rate = rate_in
        self._decoder.layout = "mono"
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_out)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode one piece; cut what is long, so that it can be heard before its end."""
        if self.key[0] is not ClipKind.OPUS:
            data = self._half + data
            width = 2 if self.key[0] is ClipKind.RAW else 1
            whole = len(data) // width * width
            data, self._half = data[:whole], data[whole:]
            size = int(self._rate_in * _PIECE_SECONDS) * width
            packets = [data[at : at + size] for at in range(0, len(data), size)]
        else:
            packets = [data]
        for packet in packets:
            for frame in self._decoder.decode(av.Packet(packet)):
                for resampled in self._resampler.resample(frame):
                    yield _samples(resampled)


class ClipProcess:
    """Decodes one job after the other."""

    def __init__(self) -> None:
        self._joints: OrderedDict[str, _Joint] = OrderedDict()

    def answer(self, job: ClipJob) -> Iterator[ClipAnswer]:
        """Decode; the last answer is a `ClipDone`."""
        started, left, piece = time.process_time(), int(job.most_seconds * job.rate) * 2, b""
        error = None
        try:
            for pcm in self._decode(job):
                piece += pcm[:left]
                left -= min(len(pcm), left)
                if len(piece) >= job.rate * 2 * _PIECE_SECONDS:
                    yield PcmDecoded(piece)
                    piece = b""
                if not left:
                    raise ClipError(f"audioData: more than {job.most_seconds:g} s of audio")
                if time.process_time() - started > job.most_cpu_seconds:
                    raise ClipError(f"audioData: takes more than {job.most_cpu_seconds:g} s to decode")
        except (ClipError, binascii.Error) as failure:
            error = str(failure) if isinstance(failure, ClipError) else "audioData: not base64 text"
        except (av.FFmpegError, ValueError, MemoryError):
            error = f"audioData: not {job.clip.kind.value}"
            self._joints.pop(job.stream, None)
        if piece:
            yield PcmDecoded(piece)
        yield ClipDone(error)

    def _decode(self, job: ClipJob) -> Iterator[bytes]:
        encoded = "".join(job.clip.encoded.split())
        data = binascii.a2b_base64(encoded + "=" * (-len(encoded) % 4), strict_mode=True)
        kind = job.clip.kind
        if kind is ClipKind.OPUS and data.startswith(b"OggS"):
            kind = ClipKind.OGG
        if kind in _FORMATS:
            self._joints.pop(job.stream, None)
            return _decode_file(data, _FORMATS[kind], job.rate)
        key = (kind, job.clip.rate or _OPUS_HZ, job.rate)
        joint = self._joints.pop(job.stream, None)
        if joint is None or joint.key != key:
            joint = _Joint(*key)
        self._joints[job.stream] = joint
        if len(self._joints) > _MOST_STREAMS:
            self._joints.popitem(last=False)
        return joint.decode(data)


def _decode_file(data: bytes, format_name: str, rate: int) -> Iterator[bytes]:
    """Decode a file; its format is given, for some that FFmpeg would guess open other files, or connections."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    with av.open(io.BytesIO(data), "r", format=format_name) as container:
        if not container.streams.audio:
            raise ClipError("audioData: no audio in it")
        stream = container.streams.audio[0]
        if stream.codec_context.name not in _CODECS:
            raise ClipError(f"audioData: {stream.codec_context.name} in {format_name} is not taken")
        if stream.codec_context.channels > _MOST_CHANNELS:
            raise ClipError(f"audioData: more than {_MOST_CHANNELS} channels")
        for frame in container.decode(stream):
            for resampled in resampler.resample(frame):
                yield _samples(resampled)
        for resampled in resampler.resample(None):
            yield _samples(resampled)


def _samples(frame: av.AudioFrame) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * 2]


def main() -> None:
    """Answer jobs from standard input until it ends; signals to all processes, of a terminal, say, are not for it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    process, jobs, answers = ClipProcess(), sys.stdin.buffer, sys.stdout.buffer
    while len(head := jobs.read(LENGTH_BYTES)) == LENGTH_BYTES:
        job = msgspec.msgpack.decode(jobs.read(int.from_bytes(head)), type=ClipJob)
        for answer in process.answer(job):
            answers.write(framed(answer))
            answers.flush()


if __name__ == "__main__":
    main()
