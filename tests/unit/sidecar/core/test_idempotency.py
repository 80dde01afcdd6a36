from __future__ import annotations

import pytest

from sidecar.core.idempotency import KEPT_SECONDS, IdempotencyKeys, KeyInUse, KeyReused


def test_the_second_request_gets_the_answer_of_the_first() -> None:
    keys = IdempotencyKeys[str]()
    assert keys.begin("k", b"body", now=0.0) is None
    with pytest.raises(KeyInUse):
        keys.begin("k", b"body", now=1.0)
    keys.finish("k", "201")
    assert keys.begin("k", b"body", now=2.0) == "201"
    assert keys.replayed == 1
    with pytest.raises(KeyReused):
        keys.begin("k", b"other", now=3.0)


def test_a_request_that_came_to_nothing_may_be_tried_again() -> None:
    keys = IdempotencyKeys[str]()
    assert keys.begin("k", b"body", now=0.0) is None
    keys.abandon("k")
    keys.abandon("k")
    assert keys.begin("k", b"another", now=1.0) is None


def test_an_answer_is_kept_for_an_hour() -> None:
    keys = IdempotencyKeys[str]()
    for at, key in enumerate("ab"):
        keys.begin(key, b"", now=at)
        keys.finish(key, key)
    assert keys.begin("a", b"", now=KEPT_SECONDS - 0.1) == "a"
    assert keys.begin("a", b"", now=KEPT_SECONDS) is None
    assert keys.begin("b", b"", now=KEPT_SECONDS) == "b"
    assert len(keys) == 2
    assert keys.begin("c", b"", now=9 * KEPT_SECONDS) is None
    assert len(keys) == 1


def test_the_oldest_goes_when_there_are_too_many() -> None:
    keys = IdempotencyKeys[str](most=2)
    for at, key in enumerate("abc"):
        assert keys.begin(key, b"", now=at) is None
    assert (len(keys), keys.forgotten) == (2, 1)
    keys.finish("a", "too late")
    assert keys.begin("a", b"", now=3.0) is None
