"""The sidecar under test: all of it, in the loop of the test."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support.sidecar import SidecarUnderTest, sidecar_under_test

StartSidecar = Callable[..., AbstractAsyncContextManager[SidecarUnderTest]]


@pytest.fixture(params=["batched", "portable"])
def start_sidecar(request: pytest.FixtureRequest) -> StartSidecar:
    """Start a sidecar with the settings given; once with the fast system calls, once without them."""

    def start(**settings: Any) -> AbstractAsyncContextManager[SidecarUnderTest]:
        return sidecar_under_test(portable=request.param == "portable", **settings)

    return start
