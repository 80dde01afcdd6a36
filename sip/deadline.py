from __future__ import annotations

from enum import Enum


class Deadline(Enum):
    """What a call waits for."""

    RETRANSMIT = "send the 2xx again"
    ACK = "no ACK to the 2xx"
    ANSWER = "no answer to the INVITE, of whichever side"  # timer C
    CANCEL = "no effect of our CANCEL"
    PROVISIONAL = "send the reliable provisional response again"
    PRACK = "no PRACK to it"
    OFFER = "the owner has not answered their offer"
    GLARE = "offer again, after both sides did at once"
    REOFFER = "no answer to our re-INVITE"
    REFRESH = "refresh the session"
    EXPIRY = "the session was not refreshed"
    LINGER = "forget what will never be answered"
