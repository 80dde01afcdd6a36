"""What a bot asks of its call: each is answered once."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.bot_requests import BotRequests
from sidecar.core.errors import InvalidCommand
from sidecar.core.link import AnswerAsked, BotRequest, DigitsAsked, HangupAsked, TransferAsked


class Call:
    """A call that does what it is asked, but for a transfer to nobody."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.requests = BotRequests(self, lambda kind, data: self.told.append((kind, data)))

    def ask(self, request: BotRequest) -> str | None:
        return self.requests.obey(request, now=1.0)

    def answer(self, *, now: float) -> None:
        self.done.append("answer")

    def end(self, cause: int, why: str, *, now: float) -> None:
        self.done.append(("end", cause))

    def transfer(self, to: str, *, now: float) -> None:
        if to == "nobody":
            raise ValueError("nobody is there")
        if to.startswith("tel:"):
            raise InvalidCommand("not a SIP URI", field="to")
        self.done.append(("transfer", to))

    def send_digits(self, digits: str, *, duration_ms: int, now: float) -> None:
        self.done.append((digits, duration_ms))


def test_answer_and_digits_are_answered_at_once() -> None:
    call = Call()
    assert call.ask(AnswerAsked("one")) is None
    assert call.ask(DigitsAsked("one", "12", 100)) is None
    assert call.done == ["answer", ("12", 100)]
    assert call.told == [("answer", {"ok": True}), ("dtmf", {"ok": True, "digits": "12"})]


def test_a_hangup_now() -> None:
    call = Call()
    call.ask(HangupAsked("one", False, 17))
    assert call.told == [("hangup", {"ok": True, "cause": 17})]
    assert call.done == [("end", 17)]


def test_a_hangup_once_all_is_played() -> None:
    call = Call()
    assert not call.requests.drained(now=0.0)
    call.ask(HangupAsked("one", True, "call_rejected"))
    assert call.done == []
    assert call.requests.drained(now=2.0)
    assert call.done == [("end", 21)]


def test_what_cannot_be_is_answered_with_the_reason() -> None:
    call = Call()
    assert call.ask(TransferAsked("one", "nobody")) == "transfer: nobody is there"
    assert call.told == [("transfer", {"ok": False, "error": "nobody is there"})]
    failure = call.ask(HangupAsked("one", False, "BOREDOM"))
    assert failure is not None
    assert failure.startswith("hangup: cause: not 1 to 127, nor a name of Q.850")
    assert call.done == []


def test_the_field_is_named_that_is_to_blame() -> None:
    call = Call()
    assert call.ask(TransferAsked("one", "tel:5")) == "transfer: to: not a SIP URI"
    assert call.told == [("transfer", {"ok": False, "error": "to: not a SIP URI"})]


@pytest.mark.parametrize(("status", "ok"), [(200, True), (486, False)])
def test_a_transfer_is_answered_when_it_is_over(status: int, ok: bool) -> None:
    call = Call()
    call.requests.transfer_progressed(200, is_final=True)  # another's
    call.ask(TransferAsked("one", "sip:a@b"))
    assert call.ask(TransferAsked("one", "sip:c@d")) == "transfer: another transfer is under way"
    call.requests.transfer_progressed(100, is_final=False)
    assert call.told == [("transfer", {"ok": False, "error": "another transfer is under way"})]
    call.requests.transfer_progressed(status, is_final=True)
    assert call.told[1:] == [("transfer", {"ok": ok, "status": status})]
    call.ask(TransferAsked("one", "sip:c@d"))
    assert call.done == [("transfer", "sip:a@b"), ("transfer", "sip:c@d")]
