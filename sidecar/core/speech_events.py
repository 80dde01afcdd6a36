"""What is told of the caller's voice; the names of the fields are those that the outside sees."""

from __future__ import annotations

from typing import Literal

from sidecar.core.event_body import EventBody


class SpeechBody(EventBody, frozen=True, tag_field="event"):
    """Something about the caller's voice; `at_ms` is the place in the caller's audio, counted from its beginning."""

    kind = "vad"
    at_ms: int


class SpeechStarted(SpeechBody, frozen=True, tag="speech_start"):
    """The caller has begun to speak, there."""


class SpeechStopped(SpeechBody, frozen=True, tag="speech_stop"):
    """The caller does not speak any more; there was the end."""


class BargedIn(SpeechBody, frozen=True, tag="barge_in"):
    """The caller speaks while something is played, and therefore that is cleared, or lowered."""

    action: Literal["clear", "duck"]


class BotAnswered(SpeechBody, frozen=True, tag="response"):
    """The caller hears the bot for the first time since it has ceased to speak, there."""

    response_ms: int


SpeechEvent = SpeechStarted | SpeechStopped | BargedIn | BotAnswered
