"""What the outside may ask of a stream; `CallControl.obey` does it, or raises `CommandError`.

They are values that survive a wire. What a bot may ask of its own call is in `bot_messages`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Pause(msgspec.Struct, frozen=True, tag=True):
    """Send no audio to the bot, until `Resume`; what is said meanwhile is not made up for."""


class Resume(msgspec.Struct, frozen=True, tag=True):
    """Send audio to the bot again."""


class Say(msgspec.Struct, frozen=True, tag=True):
    """Send the bot a text message; it waits, within bounds, while there is no bot."""

    text: str


class Play(msgspec.Struct, frozen=True, tag=True):
    """Play a clip, as if the bot had sent it: the `data` of a `streamAudio` message."""

    data: dict[str, Any]


class ClearPlayback(msgspec.Struct, frozen=True, tag=True):
    """Play nothing of what is queued."""


class PausePlayback(msgspec.Struct, frozen=True, tag=True):
    """Play nothing for now."""


class ResumePlayback(msgspec.Struct, frozen=True, tag=True):
    """Play on."""


class Dial(msgspec.Struct, frozen=True, tag=True):
    """Let the caller hear digits."""

    digits: str
    duration_ms: int = 100  # of each


class Transfer(msgspec.Struct, frozen=True, tag=True):
    """Let the caller call the SIP URI `to` instead; events `transfer` say how that goes."""

    to: str


class Hangup(msgspec.Struct, frozen=True, tag=True):
    """End the call; `cause` is one of Q.850: its number, or the name that FreeSWITCH has for it."""

    cause: int | str | None = None


class End(msgspec.Struct, frozen=True, tag=True):
    """End the stream, and its call with it; before that, send the bot a last text, if it is there."""

    text: str | None = None


class Change(msgspec.Struct, frozen=True, tag=True):
    """Let some options be others from now on: MIX, RATE, BUFFER_SIZE and URL, by name, each as text.

    With another URL, the stream leaves its bot and calls the other.
    """

    options: dict[str, str]


Command = (
    Change
    | Pause
    | Resume
    | Say
    | Play
    | ClearPlayback
    | PausePlayback
    | ResumePlayback
    | Dial
    | Transfer
    | Hangup
    | End
)
