from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .call_part import CallPart
from .error import BadEvent, NoSuchCall
from .event import TransferProgress
from .parameters import Parameters
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .call import Call
    from .transaction_layer import AnyClientTransaction, AnyServerTransaction

_SUBSCRIPTIONS_MAX = 8
_STATUS = re.compile(rb"\s*SIP/2\.0 +([1-6][0-9]{2})\b", re.IGNORECASE)


class Transfer(CallPart):
    """Asks the other side to call somebody else, and hears how that goes. See RFC 3515."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._subscriptions: list[int] = []  # the CSeq of each REFER whose outcome is open

    def start(self, refer_to: str, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """Send a REFER."""
        if len(self._subscriptions) >= _SUBSCRIPTIONS_MAX:
            del self._subscriptions[0]
        all_headers = [self._call.contact_header, ("Refer-To", f"<{refer_to}>"), *headers]
        transaction = self._call.request_in_dialog("REFER", self, headers=all_headers, now=now)
        self._subscriptions.append(transaction.request.cseq.number)

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """Take the response to the REFER; 202 promises a NOTIFY."""
        if response.status >= 300:
            self._finish(transaction.request.cseq.number, response.status)

    def handle_no_response(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """The REFER was never answered."""
        self._finish(transaction.request.cseq.number, 408)

    def receive_notify(self, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """Take what the other side says of its new call (section 2.4.4)."""
        package, _, rest = (request.headers.get("Event") or "").partition(";")
        if package.strip().lower() != "refer":
            raise BadEvent("Bad Event", headers=[("Allow-Events", "refer")])
        number = self._subscription(Parameters.parse(rest).get("id"))
        state = (request.headers.get("Subscription-State") or "").partition(";")[0].strip().lower()
        match = _STATUS.match(request.body)
        status = None if match is None else int(match[1])
        self._call.respond_to(transaction, 200, now=now)
        if state == "terminated" or (status is not None and status >= 200):
            self._finish(number, 487 if status is None else status)
        elif status is not None:
            self._call.events.append(TransferProgress(self._call.ref, status, is_final=False))

    def _subscription(self, name: str | None) -> int:
        for number in self._subscriptions:
            if name is None or name == str(number):
                return number
        raise NoSuchCall("Subscription Does Not Exist")

    def _finish(self, number: int, status: int) -> None:
        if number in self._subscriptions and not self._call.has_ended:
            self._subscriptions.remove(number)
            self._call.events.append(TransferProgress(self._call.ref, status, is_final=True))
