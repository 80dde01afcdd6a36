"""What becomes of a call whose bot is gone for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sidecar.core import option_values as values

_FALLBACK = "fallback:"


class LossAction(Enum):
    """What is done."""

    HANGUP = "hangup"
    KEEP = "keep"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class BotLoss:
    """The policy ON_BOT_LOST: `hangup`, `keep`, or `fallback:URL`."""

    action: LossAction = LossAction.HANGUP
    url: str | None = None  # of the bot that takes over

    def after(self, *, fallback_tried: bool) -> LossAction:
        """Return what is to be done now: who has gone over to the fallback, and lost it too, hangs up."""
        if self.action is LossAction.FALLBACK and fallback_tried:
            return LossAction.HANGUP
        return self.action


def parse_bot_loss(text: str) -> BotLoss:
    """Read the option; raise ValueError if it is none."""
    text = text.strip()
    if text[: len(_FALLBACK)].lower() == _FALLBACK:
        return BotLoss(LossAction.FALLBACK, values.url(text[len(_FALLBACK) :]))
    if text.lower() not in ("hangup", "keep"):
        raise ValueError("not hangup, keep or fallback:URL")
    return BotLoss(LossAction(text.lower()))
