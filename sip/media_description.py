from __future__ import annotations

import re
from dataclasses import dataclass

from .codec import STATIC_PAYLOAD_TYPES, Codec
from .description import Description, Line
from .error import SdpError

_MEDIA = re.compile(r"(\S+)\s+([0-9]{1,5})(?:/([0-9]{1,5}))?\s+(\S+)(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MediaDescription(Description):
    """An `m=` line and the lines up to the next. See RFC 8866, section 5.14."""

    kind: str  # "audio"
    port: int  # 0: refused
    protocol: str  # "RTP/AVP"
    formats: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    port_count: int = 1

    @classmethod
    def parse(cls, value: str, lines: tuple[Line, ...] = ()) -> MediaDescription:
        """Parse the value of an `m=` line."""
        match = _MEDIA.fullmatch(value.strip())
        if match is None or int(match[2]) > 0xFFFF:
            raise SdpError("m= is malformed")
        kind, port, count, protocol, formats = match.groups()
        return cls(kind, int(port), protocol, tuple((formats or "").split()), lines, int(count or 1))

    @property
    def payload_types(self) -> tuple[int, ...]:
        """The formats that are RTP payload types, in the order of preference."""
        return tuple(int(each) for each in self.formats if re.fullmatch(r"[0-9]{1,3}", each) and int(each) < 128)

    def codec(self, payload_type: int) -> Codec | None:
        """Return the codec of a payload type: of its `a=rtpmap`, else of RFC 3551."""
        value = self._of_payload_type("rtpmap", payload_type)
        if value is None:
            return STATIC_PAYLOAD_TYPES.get(payload_type)
        try:
            return Codec.parse(value)
        except SdpError:
            return None

    def fmtp(self, payload_type: int) -> str | None:
        """Return the format parameters of a payload type."""
        return self._of_payload_type("fmtp", payload_type)

    @property
    def ptime_ms(self) -> int | None:
        """The length of audio that the writer would like in a packet, in ms."""
        return _milliseconds(self.attribute("ptime"))

    @property
    def maxptime_ms(self) -> int | None:
        """The most audio that the writer takes in a packet, in ms."""
        return _milliseconds(self.attribute("maxptime"))

    @property
    def rtcp_port(self) -> int:
        """The port for RTCP: of `a=rtcp` (RFC 3605), of RTP with rtcp-mux (RFC 5761), else the next one."""
        if self.rtcp_mux:
            return self.port
        fields = (self.attribute("rtcp") or "").split()
        if fields and re.fullmatch(r"[0-9]{1,5}", fields[0]) and 0 < int(fields[0]) <= 0xFFFF:
            return int(fields[0])
        return self.port + 1

    @property
    def rtcp_mux(self) -> bool:
        """Whether RTP and RTCP share a port. See RFC 5761."""
        return self.attribute("rtcp-mux") is not None

    def _of_payload_type(self, name: str, payload_type: int) -> str | None:
        for value in self.attributes(name):
            number, _, rest = value.partition(" ")
            if number == str(payload_type):
                return rest.strip()
        return None

    def __str__(self) -> str:
        count = "" if self.port_count == 1 else f"/{self.port_count}"
        lines = "".join(f"{kind}={value}\r\n" for kind, value in self.lines)
        return f"m={self.kind} {self.port}{count} {self.protocol} {' '.join(self.formats)}\r\n{lines}"


def _milliseconds(value: str | None) -> int | None:
    """Read a time in ms; some write 20.0, or junk."""
    match = re.match(r"[0-9]{1,4}", value or "")
    return int(match[0]) if match else None
