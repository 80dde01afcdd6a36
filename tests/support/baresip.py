"""Places and takes real calls with baresip 1.0.0, without a sound card.

What baresip 1.0.0 does, and how that shows here:

* Its audio source `aufile` does not loop. At the end of the file it hangs up ("end of file"), within a
  second. So the file is filled up with silence to `longest_call` seconds. It must have the sample rate
  and the channels of the codec: there is no resampling.
* Its recorder `sndfile` writes each frame as it leaves the jitter buffer, and knows no time: a packet that
  is lost or late makes the recording shorter and leaves a splice, not a gap. The last frames stay in the
  jitter buffer, so a recording is about 100 ms shorter than the call.
* For TLS it binds the port after that of SIP too. It checks a server's certificate if it has a `ca`.
* It has no means to add a header to an INVITE. `headers` are added by a relay on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from tests.support.header_relay import HeaderRelay
from tests.support.ports import LOOPBACK, free_port
from tests.support.tones import Pcm, read_wav, write_wav

MODULES = Path("/usr/lib/baresip/modules")
START_SECONDS = 5.0
QUIT_SECONDS = 0.5
PROCESS_SECONDS = 300

_CONFIG = """\
sip_listen {host}:{sip_port}
net_interface {host}
ctrl_tcp_listen {host}:{control_port}
module_path {modules}
audio_source aufile,{directory}/said.wav
snd_path {directory}
rtp_ports 21000-29998
ringback_disabled yes
statmode_default off
call_local_timeout 30
rtp_timeout {rtp_timeout}
module aufile.so
module sndfile.so
module {codec}.so
{encryption}{tls}module_app account.so
module_app menu.so
module_app ctrl_tcp.so
"""


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as baresip names it, and the audio file that it needs."""

    name: str
    module: str
    rate: int
    channels: int = 1


PCMU = Codec("pcmu", "g711", 8000)
PCMA = Codec("pcma", "g711", 8000)
G722 = Codec("g722", "g722", 16000)
L16_8K = Codec("L16/8000/1", "l16", 8000)
L16_16K = Codec("L16/16000/1", "l16", 16000)
OPUS = Codec("opus/48000/2", "opus", 48000, channels=2)

Event = Mapping[str, Any]


class CallFailed(Exception):
    """The call was not established; carries the reason and what baresip printed, with all SIP messages."""


class Baresip:
    """One baresip, which says `says` in the call it makes or takes and records what it hears."""

    def __init__(
        self,
        directory: Path,
        *,
        says: Pcm,
        codec: Codec = PCMU,
        user: str = "alice",
        answers: bool = False,
        headers: Mapping[str, str] | None = None,
        encryption: Literal["srtp", "srtp-mand", "srtp-mandf"] | None = None,
        transport: Literal["udp", "tcp", "tls"] = "udp",
        certificate: Path | None = None,
        ca: Path | None = None,
        sip_port: int | None = None,
        longest_call: float = 60.0,
        rtp_timeout: int = 0,
        host: str = LOOPBACK,
        inside: Sequence[str] = (),
    ) -> None:
        """End a call after `rtp_timeout` seconds without RTP, 0: never. `inside` is the command that it is run by."""
        assert not headers or transport == "udp", "the relay that adds headers speaks UDP alone"
        self.directory = directory
        self.codec = codec
        self.events: list[Event] = []
        self.process_id = 0
        self.uri = f"sip:{user}@{host}:{sip_port or free_port()}"
        self._host = host
        self._inside = inside
        self._rtp_timeout = rtp_timeout
        self._says = says
        self._longest_call = longest_call
        self._answers = answers
        self._encryption = encryption
        self._transport = transport
        self._tls = {"sip_certificate": certificate, "sip_cafile": ca}
        self._relay = HeaderRelay(headers) if headers else None
        self._control_port = free_port()
        self._news = asyncio.Condition()
        self._replies: asyncio.Queue[Event] = asyncio.Queue()
        self._lifetime = contextlib.AsyncExitStack()
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Baresip:
        async with contextlib.AsyncExitStack() as stack:
            outbound = (await stack.enter_async_context(self._relay)).uri if self._relay else None
            self._write_directory(outbound)
            process = await self._start()
            self.process_id = process.pid
            stack.push_async_callback(self._quit, process)
            async with asyncio.timeout(START_SECONDS):
                reader, self._writer = await self._connect(process)
                listener = asyncio.create_task(self._listen(reader))
                stack.push_async_callback(self._close, self._writer, listener)
                await self.command("reginfo")
            self._lifetime = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lifetime.aclose()

    async def dial(self, uri: str, *, within: float = 10.0) -> None:
        """Call `uri` and wait until the call is established; raise `CallFailed` if it is not."""
        await self.command("dial", uri)
        await self.established(within=within)

    async def established(self, *, within: float = 10.0) -> None:
        """Wait until a call, made or taken, is established; raise `CallFailed` if it is not."""
        event = await self._first("CALL_ESTABLISHED", "CALL_CLOSED", within=within)
        if event["type"] == "CALL_CLOSED":
            raise CallFailed(f"{event.get('param')}\n{self.log}")

    async def closed(self, *, within: float = 10.0) -> str:
        """Wait until the call is over, and return the reason that baresip gives."""
        return str((await self._first("CALL_CLOSED", within=within)).get("param", ""))

    async def hang_up(self) -> None:
        """End the call, or the attempt, and wait until it is over."""
        await self.command("hangup")
        await self.closed()

    async def hold(self) -> None:
        """Send a re-INVITE that holds the call."""
        await self.command("hold")

    async def resume(self) -> None:
        """Send a re-INVITE that takes the call up again."""
        await self.command("resume")

    async def press(self, digits: str) -> None:
        """Send DTMF events (RFC 4733), four a second."""
        for digit in digits:
            await self.command("sndcode", digit)
            await asyncio.sleep(0.25)

    @property
    def digits_heard(self) -> str:
        """The DTMF events that came in so far."""
        return "".join(e["param"] for e in self.events if e["type"] == "CALL_DTMF_START")

    async def command(self, name: str, parameters: str = "") -> str:
        """Give one of baresip's long commands, such as `transfer`, and return what it prints."""
        assert self._writer is not None
        message = json.dumps({"command": name, "params": parameters}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        reply = await asyncio.wait_for(self._replies.get(), START_SECONDS)
        assert reply["ok"], f"{name} {parameters}: {reply['data']}\n{self.log}"
        return str(reply["data"])

    @property
    def heard(self) -> tuple[Pcm, int]:
        """What came in, and its sample rate; whole when the call is over."""
        return self._recording("dec")

    @property
    def said(self) -> tuple[Pcm, int]:
        """What went out, and its sample rate; whole when the call is over."""
        return self._recording("enc")

    @property
    def log(self) -> str:
        """All that baresip has printed so far, SIP messages included."""
        return (self.directory / "log").read_text(errors="replace")

    def _recording(self, direction: Literal["enc", "dec"]) -> tuple[Pcm, int]:
        recordings = sorted(self.directory.glob(f"dump-*-{direction}.wav"))
        assert recordings, f"baresip recorded nothing\n{self.log}"
        return read_wav(recordings[-1])

    def _write_directory(self, outbound: str | None) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(
            host=self._host,
            rtp_timeout=self._rtp_timeout,
            sip_port=self.uri.rpartition(":")[2],
            control_port=self._control_port,
            modules=MODULES,
            directory=self.directory,
            codec=self.codec.module,
            encryption="module srtp.so\n" if self._encryption else "",
            tls="".join(f"{name} {path}\n" for name, path in self._tls.items() if path is not None),
        )
        account = [
            f"<{self.uri};transport={self._transport}>;regint=0",
            f"audio_codecs={self.codec.name}",
            f"answermode={'auto' if self._answers else 'manual'}",
        ]
        if self._encryption:
            account.append(f"mediaenc={self._encryption}")
        if outbound:
            account.append(f'outbound="{outbound}"')
        (self.directory / "config").write_text(config)
        (self.directory / "accounts").write_text(";".join(account) + "\n")
        (self.directory / "contacts").touch()
        silence = max(0, round(self._longest_call * self.codec.rate) - len(self._says))
        says = np.pad(self._says, (0, silence))
        if self.codec.channels > 1:
            says = np.column_stack([says] * self.codec.channels)
        write_wav(self.directory / "said.wav", says, self.codec.rate)

    async def _start(self) -> asyncio.subprocess.Process:
        with (self.directory / "log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(*self._inside, "stdbuf", "-oL", "baresip"),  # the log is wanted while the call is up
                *("-f", str(self.directory), "-s", "-t", str(PROCESS_SECONDS)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def _connect(self, process: asyncio.subprocess.Process) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while process.returncode is None:
            with contextlib.suppress(ConnectionRefusedError):
                return await asyncio.open_connection(self._host, self._control_port)
            await asyncio.sleep(0.01)
        raise AssertionError(f"baresip quit at once\n{self.log}")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Take apart the netstrings that the control port sends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = await reader.readuntil(b":")
                message = await reader.readexactly(int(length[:-1]) + 1)
                event = json.loads(message[:-1])
                if "response" in event:
                    self._replies.put_nowait(event)
                    continue
                async with self._news:
                    self.events.append(event)
                    self._news.notify_all()

    async def _first(self, *kinds: str, within: float) -> Event:
        def found() -> Event | None:
            return next((event for event in self.events if event["type"] in kinds), None)

        try:
            async with asyncio.timeout(within), self._news:
                await self._news.wait_for(lambda: found() is not None)
        except TimeoutError:
            raise CallFailed(f"no {' or '.join(kinds)} within {within} s\n{self.log}") from None
        event = found()
        assert event is not None
        return event

    async def _close(self, writer: asyncio.StreamWriter, listener: asyncio.Task[None]) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                writer.write(b'18:{"command":"quit"},')
                await listener
        listener.cancel()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _quit(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the end; an unanswered BYE holds it up, and only a second signal cuts that short."""
        for signal_number in (None, signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if signal_number is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal_number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), QUIT_SECONDS)
                return
