"""What `uuid_dump` tells of a call, as far as a leg that listens to it must fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.freeswitch.frames import EslEvent, Frame

_WIDE = 16_000
_UUID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._@+-]{0,127}")


def is_call_uuid(text: str) -> bool:
    """Whether it can be the UUID of a channel, and nothing else: `origination_uuid` lets people choose their own."""
    return _UUID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of FreeSWITCH."""

    rate: int  # of what it hears and says, in Hz
    channels: int
    ptime_ms: int
    is_answered: bool  # or has early media
    hears_nothing: bool  # parked, without silence: what is injected then goes nowhere

    @classmethod
    def parse(cls, dump: str) -> Channel:
        """Read the answer to `uuid_dump`."""
        headers = EslEvent.parse(Frame({}, dump.encode())).headers
        return cls(
            rate=_number(headers, "channel-read-codec-rate", 8000),
            channels=_number(headers, "variable_rtp_use_codec_channels", 1),
            ptime_ms=_number(headers, "variable_rtp_use_codec_ptime", 20),
            is_answered=headers.get("answer-state") in ("answered", "early"),
            hears_nothing=headers.get("variable_current_application") == "park"
            and "other-leg-unique-id" not in headers
            and headers.get("variable_send_silence_when_idle", "0") == "0",
        )

    def codec_string(self, *, rate: int) -> str:
        """Return the codec of a leg that listens, for a bot that wants `rate`.

        A decoded packet of the leg must not be larger than one of the call: FreeSWITCH would play it at half its speed.
        """
        ptime = next((each for each in (20, 10) if each <= self.ptime_ms), 10)
        wide = min(self.rate, rate) >= _WIDE and self.channels == 1
        return f"L16@16000h@{ptime}i" if wide else f"PCMU@8000h@{ptime}i"


def _number(headers: Mapping[str, str], name: str, default: int) -> int:
    text = headers.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,6}", text) and int(text) else default
