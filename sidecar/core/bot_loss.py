"""What becomes of a call whose bot is gone for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sidecar.core import option_values as values

FALLBACK = "fallback:"


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
    withheld: tuple[str, ...] = ()  # options that are secrets, and not for that bot

    def after(self, *, fallback_tried: bool) -> LossAction:
        """Return what is to be done now: who has gone over to the fallback, and lost it too, hangs up."""
        if self.action is LossAction.FALLBACK and fallback_tried:
            return LossAction.HANGUP
        return self.action


def fallback_url(text: str) -> str | None:
    """Return what stands behind `fallback:` in the option's text, None if it is another policy."""
    text = text.strip()
    return text[len(FALLBACK) :] if text[: len(FALLBACK)].lower() == FALLBACK else None


def parse_bot_loss(text: str) -> BotLoss:
    """Read the option; raise ValueError if it is none."""
    url = fallback_url(text)
    if url is not None:
        return BotLoss(LossAction.FALLBACK, values.url(url))
    if text.strip().lower() not in ("hangup", "keep"):
        raise ValueError("not hangup, keep or fallback:URL")
    return BotLoss(LossAction(text.strip().lower()))
