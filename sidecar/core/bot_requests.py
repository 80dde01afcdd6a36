"""What a bot asks of its call, and what it is told of the outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from sidecar.core.cause import parse_cause
from sidecar.core.errors import CommandError
from sidecar.core.link import AnswerAsked, BotRequest, DigitsAsked, HangupAsked, TransferAsked


class AskedCall(Protocol):
    """The call; each raises ValueError, with the reason, if it cannot do what it is asked."""

    def answer(self, *, now: float) -> None:
        """Answer it, unless it is answered."""

    def end(self, cause: int, why: str, *, now: float) -> None:
        """Hang up, or refuse what is not answered yet."""

    def transfer(self, to: str, *, now: float) -> None:
        """Let the caller call somebody else; how that goes is told later."""

    def send_digits(self, digits: str, *, duration_ms: int, now: float) -> None:
        """Let the caller hear digits."""


class BotRequests:
    """Obeys a bot; every request is answered, once."""

    def __init__(self, call: AskedCall, tell: Callable[[str, dict[str, Any]], None]) -> None:
        """`tell` takes the type and the data of a message to the bot."""
        self._call = call
        self._tell = tell
        self._transferring = False
        self._hangup_cause: int | None = None  # once all is played

    def obey(self, request: BotRequest, *, now: float) -> str | None:
        """Do what is asked; return why not, if that cannot be."""
        kind = _KINDS[type(request)]
        try:
            answer = self._try(request, now=now)
        except ValueError as error:
            field = error.field if isinstance(error, CommandError) else None
            why = f"{field}: {error}" if field else str(error)
            self._tell(kind, {"ok": False, "error": why})
            return f"{kind}: {why}"
        if answer is not None:
            self._tell(kind, {"ok": True, **answer})
        return None

    def drained(self, *, now: float) -> bool:
        """All is played: return whether the bot wanted the call to end then; if so, it has."""
        if self._hangup_cause is None:
            return False
        self._call.end(self._hangup_cause, _WHY, now=now)
        return True

    def transfer_progressed(self, status: int, *, is_final: bool) -> None:
        """Tell the bot how its transfer has ended."""
        if self._transferring and is_final:
            self._transferring = False
            self._tell("transfer", {"ok": 200 <= status < 300, "status": status})

    def _try(self, request: BotRequest, *, now: float) -> dict[str, Any] | None:
        """Return what to tell of a success; None: it is told later."""
        match request:
            case AnswerAsked():
                self._call.answer(now=now)
            case HangupAsked(_, after_drain, given):
                cause = parse_cause(given)
                self._tell("hangup", {"ok": True, "cause": int(cause)})  # before the goodbye
                if after_drain:
                    self._hangup_cause = cause
                else:
                    self._call.end(cause, _WHY, now=now)
                return None
            case TransferAsked(_, to):
                if self._transferring:
                    raise ValueError("another transfer is under way")
                self._call.transfer(to, now=now)
                self._transferring = True
                return None
            case _:
                self._call.send_digits(request.digits, duration_ms=request.duration_ms, now=now)
                return {"digits": request.digits}
        return {}


_WHY = "the bot hangs up"
_KINDS: dict[type[BotRequest], str] = {
    AnswerAsked: "answer",
    HangupAsked: "hangup",
    TransferAsked: "transfer",
    DigitsAsked: "dtmf",
}
