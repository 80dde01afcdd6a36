"""Events as subscribers of a FreeSWITCH get them: CUSTOM, with the subclass and the body of mod_audio_stream.

`sendevent` does not fire an event that names a live session in its Unique-ID, but gives it to that session, where it
is lost. So it is fired by a line of Lua, which also adds what mod_audio_stream's own events have: all the data of the
channel. Where FreeSWITCH has no mod_lua, or the text is too long for a line, `sendevent` names the call in upper case,
which names no session, and which a `filter` on Unique-ID takes for the same (docs/adr/0036).
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.freeswitch.channel import is_call_uuid

LONGEST_LINE = 16_000
"""Bytes of a body in a line: FreeSWITCH takes 3 ms for a short one, and 130 ms for one of 60,000."""

LONGEST_BODY = 1 << 20
"""Bytes; an event with a longer one is not told."""

# The data of a channel is what `uuid_dump` says, but for what each event gets of itself; an event outlives its channel.
_FIRE = """
local u,e=%s,freeswitch.Event("CUSTOM",%s)
local d=freeswitch.API():execute("uuid_dump",u) or "-ERR"
local function p(v) return (v:gsub("%%%%(%%x%%x)",function(h) return string.char(tonumber(h,16)) end)) end
if d:sub(1,4)=="-ERR" then e:addHeader("Unique-ID",u) else
for k,v in d:gmatch("([^:\\n]+): ([^\\n]*)") do
if not (k:find("^Event%%-") or k:find("^FreeSWITCH%%-") or k=="Core-UUID") then e:addHeader(k,p(v)) end
end end
%se:addBody(%s) e:fire()
"""


@dataclass(frozen=True, slots=True)
class CustomEvent:
    """What is told of a stream."""

    subclass: str
    call: str  # the UUID of a channel; where it is none, there is no channel data
    headers: tuple[tuple[str, str], ...]
    body: str

    def lua(self) -> str | None:
        """Return the line of Lua that fires it; None if it cannot be one."""
        if not is_call_uuid(self.call) or len(self.body.encode()) > LONGEST_LINE:
            return None
        added = "".join(f"e:addHeader({_quoted(name)},{_quoted(value)}) " for name, value in self.headers)
        script = _FIRE % (_quoted(self.call), _quoted(self.subclass), added, _quoted(self.body))
        return " ".join(script.split("\n")).strip()

    def sendevent_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of a `sendevent` that fires it whether or not the call is up."""
        other_case = self.call.upper() if self.call.upper() != self.call else self.call.lower()
        unique_id = (("Unique-ID", other_case),) if other_case != self.call else ()
        return (
            ("Event-Subclass", self.subclass),
            *unique_id,
            ("Channel-Call-UUID", self.call),
            *self.headers,
        )


def _quoted(text: str) -> str:
    """Write a string of Lua in which nothing but letters, digits and spaces stands for itself."""
    return '"' + "".join(chr(byte) if _is_plain(byte) else f"\\{byte:03d}" for byte in text.encode()) + '"'


def _is_plain(byte: int) -> bool:
    return byte < 128 and (chr(byte).isalnum() or byte == 0x20)
