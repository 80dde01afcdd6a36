"""What control tells a bot unasked, where EVENTS wants it."""

from __future__ import annotations

from collections.abc import Callable, Set

from sidecar.core.bot_messages import message_to_bot
from sidecar.core.bot_side import BotSide, BotState
from sidecar.core.call_news import CallAnswered, CallHeld, CallNews, CallStarted
from sidecar.core.event_body import EventBody
from sidecar.core.link import SendText
from sidecar.core.options import EventKind
from sidecar.core.stream_snapshot import StreamSnapshot


class BotTeller:
    """Tells the bot while it is there; what happens while it is away is not repeated, but how the call is then."""

    def __init__(self, stream: str, wanted: Set[EventKind], bot: BotSide, *, say: Callable[[SendText], None]) -> None:
        self._stream = stream
        self._wanted = wanted
        self._bot = bot
        self._say = say

    def tell(self, group: EventKind, body: EventBody) -> None:
        """Tell of what has happened, if it is of a group that is wanted."""
        if group in self._wanted and self._bot.state is BotState.CONNECTED:
            self._say(SendText(self._stream, message_to_bot(body.kind, body.value())))

    def introduce(self, call: StreamSnapshot, *, is_answered: bool, is_held: bool) -> None:
        """A bot is there, or back: tell it which call it has, and how far that has come."""
        state: list[CallNews] = [CallStarted.of(call)]
        if is_answered:
            state.append(CallAnswered())
        if is_held:
            state.append(CallHeld())
        for each in state:
            self.tell(EventKind.CALL, each)
