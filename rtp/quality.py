"""How a call sounds, estimated from delay and loss."""

from __future__ import annotations

from typing import NamedTuple

_R_MAX = 93.2
"""The transmission rating of a narrow-band call that lacks nothing: G.107, all parameters at their defaults."""


class Impairment(NamedTuple):
    """What a codec does to speech. See ITU-T G.113, appendix I."""

    equipment: float = 0.0  # Ie
    loss_robustness: float = 25.1  # Bpl; 25.1 is G.711 with concealment, 4.3 without


def rating(*, delay: float, loss: float, impairment: Impairment) -> float:
    """Return the rating R of the E-model in the simplification of Cole and Rosenbluth.

    `delay` is from mouth to ear in seconds, `loss` the part of the packets that is not heard, 0..1, taken as random.
    """
    milliseconds = 1000 * delay
    by_delay = 0.024 * milliseconds + 0.11 * max(0.0, milliseconds - 177.3)
    percent = 100 * loss
    by_loss = (95 - impairment.equipment) * percent / (percent + impairment.loss_robustness)
    return _R_MAX - by_delay - impairment.equipment - by_loss


def mean_opinion_score(rating: float) -> float:
    """Return the mean opinion score, 1..4.5, of a rating: G.107, annex B."""
    bounded = min(max(rating, 6.5), 100.0)  # below 6.5 the formula rises again
    return 1 + 0.035 * bounded + bounded * (bounded - 60) * (100 - bounded) * 7e-6
