from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from .error import SdpError

Line = tuple[str, str]  # the type, one letter, and the value


class Direction(Enum):
    """Who sends in a stream, seen from whoever wrote the description. See RFC 8866, section 6.7."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """Return the direction in which this side sends and receives, or does not."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def sends(self) -> bool:
        """Whether the writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)


class Description:
    """What the session level and the media level of SDP have in common. See RFC 8866, section 5."""

    __slots__ = ()

    lines: tuple[Line, ...]

    def first(self, kind: str) -> str | None:
        """Return the value of the first line of a type."""
        return next((value for other, value in self.lines if other == kind), None)

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute of that name; "" for one without value."""
        return next(self.attributes(name), None)

    def attributes(self, name: str) -> Iterator[str]:
        """Return the values of all attributes of that name."""
        for kind, line in self.lines:
            if kind == "a":
                other, _, value = line.partition(":")
                if other.strip().lower() == name:
                    yield value.strip()

    def bandwidth(self, kind: str) -> int | None:
        """Return the value of a `b=` line: of "AS" in kbit/s, of "TIAS" (RFC 3890) in bit/s."""
        for other, line in self.lines:
            name, _, value = line.partition(":")
            if other == "b" and name.strip().upper() == kind and re.fullmatch(r"[0-9]{1,12}", value.strip()):
                return int(value)
        return None

    @property
    def direction(self) -> Direction | None:
        """The direction, if this level states one."""
        return next((each for each in Direction if self.attribute(each.value) is not None), None)

    @property
    def connection_address(self) -> str | None:
        """The address of the `c=` line, if this level has one; raise `SdpError` if it is malformed."""
        value = self.first("c")
        if value is None:
            return None
        fields = value.split()
        if len(fields) != 3 or fields[0].upper() != "IN" or fields[1].upper() not in ("IP4", "IP6"):
            raise SdpError("c= is malformed")
        return fields[2].partition("/")[0]


def connection(address: str) -> str:
    """Write the value of a `c=` line, or the end of an `o=` line."""
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"
