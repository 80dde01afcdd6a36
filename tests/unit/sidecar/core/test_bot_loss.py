"""What becomes of a call whose bot is gone for good."""

from __future__ import annotations

import pytest

from sidecar.core.bot_loss import BotLoss, LossAction, fallback_url, parse_bot_loss


@pytest.mark.parametrize(
    ("text", "first", "then"),
    [
        ("hangup", LossAction.HANGUP, LossAction.HANGUP),
        ("keep", LossAction.KEEP, LossAction.KEEP),
        ("fallback:ws://b.example", LossAction.FALLBACK, LossAction.HANGUP),
    ],
)
def test_a_fallback_is_tried_once(text: str, first: LossAction, then: LossAction) -> None:
    loss = parse_bot_loss(text)
    assert loss.after(fallback_tried=False) is first
    assert loss.after(fallback_tried=True) is then


def test_the_url_of_the_fallback_is_kept() -> None:
    assert parse_bot_loss(" Fallback:ws://b.example/?x ") == BotLoss(LossAction.FALLBACK, "ws://b.example/?x")


@pytest.mark.parametrize(
    ("text", "url"), [("keep", None), (" FALLBACK:ws://b.example", "ws://b.example"), ("fallback", None)]
)
def test_the_url_of_a_fallback_is_found_without_a_look_at_it(text: str, url: str | None) -> None:
    assert fallback_url(text) == url
