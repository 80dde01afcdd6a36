from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .call_part import CallPart
from .dialog import Dialog, DialogKey
from .reliable_provisional import requires_100rel
from .response import Response

if TYPE_CHECKING:
    from .call import Call
    from .transaction_layer import AnyClientTransaction


class ProvisionalAcknowledgement(CallPart):
    """Our PRACKs to the reliable provisional responses to our INVITE. See RFC 3262, section 4."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._sequences: dict[DialogKey, int] = {}  # the last RSeq of each early dialog
        self._answered: set[DialogKey] = set()

    def has_answer(self, dialog: Dialog) -> bool:
        """Whether our offer was answered in that dialog by a reliable response (section 5)."""
        return dialog.key in self._answered

    def receive(self, dialog: Dialog | None, response: Response, *, now: float) -> bool:
        """Acknowledge what wants it; return whether the response is news, and in its order."""
        value = response.headers.get("RSeq") or ""
        if dialog is None or not requires_100rel(response) or not re.fullmatch(r"[0-9]{1,10}", value):
            return True
        sequence = int(value)
        last = self._sequences.get(dialog.key)
        if last is not None and sequence != last + 1:
            return False  # a retransmission, whose PRACK has timers of its own; or one that is ahead
        self._sequences[dialog.key] = sequence
        call = self._call
        if response.body:
            self._answered.add(dialog.key)
        rack = ("RAck", f"{sequence} {response.cseq}")
        prack = dialog.request("PRACK", endpoint=call.endpoint, headers=[rack])
        call.send(prack, dialog.destination, self, now=now)
        return True

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """Whatever it says, the INVITE goes on."""

    def handle_no_response(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """Likewise; the called side gives up the call itself (section 3)."""
