"""How much a bot may say in text, in virtual time."""

from __future__ import annotations

from sidecar.core.text_allowance import TextAllowance


def test_so_much_at_once_and_so_much_a_second() -> None:
    allowance = TextAllowance(10, at_once=30)
    assert allowance.take(30, now=0.0)
    assert not allowance.take(1, now=0.0)
    assert allowance.take(10, now=1.0)
    assert not allowance.take(31, now=60.0), "that is never"
    assert allowance.take(30, now=60.0)
    assert allowance.refused == 2


def test_an_episode_is_news_once() -> None:
    allowance = TextAllowance(10, at_once=10)
    news = []
    for second in (0, 1, 2, 3, 4, 30, 31):
        assert allowance.take(10, now=second)
        assert not allowance.take(10, now=second)
        news.append(allowance.is_news)
    assert news == [True, False, False, False, False, True, False]
