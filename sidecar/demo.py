"""The demo: an echo bot, the sidecar and a caller in one process, joined by real SIP, RTP and WebSocket on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtp import CLOCK_RATE, Pcm
from sidecar.app import running_sidecar
from sidecar.core.listening import Heard, judge
from sidecar.io.caller import CallPlan, CallResult, CallState, place_call
from sidecar.io.echo_bot import EchoBot
from sidecar.sample import load_melody
from sidecar.settings import RtpSettings, Settings, SipSettings
from sip import SipUri

_TAIL = 0.5  # seconds at the end in which the caller only listens


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What became of the demo's call."""

    call: CallResult
    heard: Heard

    @property
    def ok(self) -> bool:
        """Whether the call was answered, and all that was said came back."""
        return self.call.answered and not self.call.stopped and self.heard.ok

    @property
    def problems(self) -> tuple[str, ...]:
        """Say what was wrong, one line each."""
        if self.call.stopped:
            return ("stopped before the end",)
        return self.heard.problems if self.call.answered else (f"{self.call.status} {self.call.reason}",)


async def run_demo(
    *, seconds: float, on_state: Callable[[CallState], None], stopped: asyncio.Event | None = None
) -> DemoResult:
    """Call the echo bot through the sidecar, and listen for `seconds`, or until `stopped` is set.

    All ports are free ones.
    """
    async with EchoBot(port=0) as bot, running_sidecar(_settings()) as sidecar:
        plan = CallPlan(
            target=SipUri(*sidecar.sip_address, user="demo"),
            signal=_melody(seconds - _TAIL),
            seconds=seconds,
            headers=(("X-STREAM_URL", bot.url), ("X-STREAM_METADATA", "the demo calls")),
        )
        call = await place_call(plan, on_state=on_state, stopped=stopped)
    return DemoResult(call, judge(call.recording))


def _settings() -> Settings:
    """Return settings of our own: the demo does not depend on the environment, nor disturb a sidecar that runs."""
    return Settings.model_construct(workers=0, sip=SipSettings(port=0), rtp=RtpSettings(port=0))


def _melody(seconds: float) -> Pcm:
    """Return the melody, again and again until `seconds` are full: int16[n] at 8 kHz."""
    return np.resize(load_melody(), round(max(seconds, 0.0) * CLOCK_RATE))
