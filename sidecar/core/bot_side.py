"""What the outside is told of a stream's bot: that it is there, lost, found again, and, once, gone."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import assert_never

from sidecar.core.bot_loss import LossAction
from sidecar.core.errors import ErrorCode
from sidecar.core.event_body import EventBody
from sidecar.core.events import CloseMessage, Connected, Disconnected, Reconnected, Reconnecting, failure
from sidecar.core.link import BotClosed, BotConnected, BotFailed, BotLost, BotNews, BotResumed, BotStalled
from sidecar.core.options import AfterClose, StreamOptions
from sidecar.core.reconnect import ABNORMAL, closes_for_now


class BotState(Enum):
    """How far the WebSocket has come."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    GONE = "gone"


class BotSide:
    """Turns what the worker says of a bot into events; `disconnect` is the last, if there was a `connect`."""

    def __init__(self, options: StreamOptions, emit: Callable[[EventBody], None]) -> None:
        self.state = BotState.CONNECTING
        self.end: tuple[int, str] = ABNORMAL, ""  # code and reason (RFC 6455, section 7.1.5), once it is gone
        self._options = options
        self._emit = emit
        self._lost: tuple[int, str] = ABNORMAL, ""

    @property
    def was_connected(self) -> bool:
        """Whether there has been a bot that is not gone for good."""
        return self.state in (BotState.CONNECTED, BotState.RECONNECTING)

    @property
    def may_be_missed(self) -> bool:
        """Whether the call may go on without the bot that is gone."""
        if self.end[0] == ABNORMAL or closes_for_now(self.end[0]):
            return self._options.on_bot_lost.action is LossAction.KEEP
        return self._options.on_bot_close is AfterClose.KEEP

    def receive_message(self, message: BotNews) -> None:
        """Take a message of the worker."""
        match message:
            case BotConnected():
                self.state = BotState.CONNECTED
                self._emit(Connected())
            case BotLost():
                self._be_lost(message)
            case BotResumed(_, gap_ms, replayed_ms):
                self.state = BotState.CONNECTED
                self._emit(Reconnected(gap_ms, replayed_ms))
            case BotStalled(_, kept_ms):
                error = f"the bot does not read fast enough: of its audio the last {kept_ms} ms are kept"
                self._emit(failure(ErrorCode.TIMEOUT, error))
            case BotFailed(_, code, error):
                self._emit(failure(code, error))
                self._disconnect(ABNORMAL, error)
            case BotClosed(_, code, reason):
                self._disconnect(code, reason)
            case _:
                assert_never(message)

    def call_ended(self, reason: str, *, code: int = 1000) -> None:
        """The call is over, and the bot is said goodbye to with `code`, if it is there."""
        if self.state is BotState.RECONNECTING:
            self._disconnect(*self._lost)
        else:
            self._disconnect(code, reason)

    def _be_lost(self, message: BotLost) -> None:
        if message.error is not None:
            self._emit(failure(message.error, message.reason))
        if self.was_connected:
            self.state = BotState.RECONNECTING
            self._lost = message.close_code, message.reason
        self._emit(Reconnecting(CloseMessage(message.close_code, message.reason)))

    def _disconnect(self, code: int, reason: str) -> None:
        if self.was_connected:
            self._emit(Disconnected(CloseMessage(code, reason)))
        self.state, self.end = BotState.GONE, (code, reason)
