"""What is tried again, and how often."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import second_try
from tests.support.stalls import Stalls


@pytest.mark.parametrize(
    ("stalled", "waited", "times"), [(0.0, 0.0, 1), (0.04, 0.0, 1), (0.06, 0.0, 3), (0.0, 10.0, 3)]
)
def test_only_a_machine_that_stalled_is_an_excuse(
    stalled: float,
    waited: float,
    times: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    @contextmanager
    def stalls() -> Iterator[Stalls]:
        yield Stalls([stalled])

    monkeypatch.setattr(second_try, "stalls_beside", stalls)
    clock = itertools.count(step=waited)
    monkeypatch.setattr(second_try, "waited_seconds", lambda: next(clock))
    directories: list[list[Path]] = []

    def fail() -> None:
        directories.append(list(tmp_path.iterdir()))
        (tmp_path / "left").touch()
        raise ValueError("no")

    said = request.node.user_properties
    with pytest.raises(ValueError, match="no"):
        second_try.run_in_real_time(request.node, fail)
    assert directories == [[]] * times
    assert len(said) == times - 1
    said.clear()
