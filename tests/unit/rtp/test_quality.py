"""The E-model against values published for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import Impairment, mean_opinion_score, rating

G711 = Impairment()


def test_a_call_that_lacks_nothing() -> None:
    """G.107: R = 93.2, which is a MOS of 4.41."""
    assert rating(delay=0.0, loss=0.0, impairment=G711) == 93.2
    assert mean_opinion_score(93.2) == pytest.approx(4.41, abs=0.005)


@pytest.mark.parametrize(("r", "mos"), [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)])
def test_the_scale_of_g107_annex_b(r: float, mos: float) -> None:
    assert mean_opinion_score(r) == pytest.approx(mos, abs=0.01)


def test_the_ends_of_the_scale() -> None:
    assert mean_opinion_score(120.0) == mean_opinion_score(100.0) == 4.5
    assert mean_opinion_score(-50.0) == mean_opinion_score(6.5) == pytest.approx(1.0, abs=0.01)


def test_delay_hurts_more_beyond_177_ms() -> None:
    def lost(delay: float) -> float:
        return 93.2 - rating(delay=delay, loss=0.0, impairment=G711)

    assert lost(0.1) == pytest.approx(2.4)
    assert lost(0.3) == pytest.approx(7.2 + 0.11 * 122.7)


def test_loss_hurts_less_with_concealment() -> None:
    """G.113: Ie of G.711 at 5 % random loss is about 16 with concealment, and 51 without."""
    assert 93.2 - rating(delay=0.0, loss=0.05, impairment=G711) == pytest.approx(15.8, abs=0.1)
    assert 93.2 - rating(delay=0.0, loss=0.05, impairment=Impairment(0.0, 4.3)) == pytest.approx(51.1, abs=0.1)


@given(st.floats(0, 1), st.floats(0, 5), st.floats(0, 50))
def test_more_of_anything_bad_is_never_better(loss: float, delay: float, equipment: float) -> None:
    impairment = Impairment(equipment)
    here = mean_opinion_score(rating(delay=delay, loss=loss, impairment=impairment))
    assert 1.0 - 0.01 <= here <= 4.5
    assert mean_opinion_score(rating(delay=delay + 0.1, loss=loss, impairment=impairment)) <= here + 1e-9
    assert mean_opinion_score(rating(delay=delay, loss=min(1.0, loss + 0.1), impairment=impairment)) <= here + 1e-9
