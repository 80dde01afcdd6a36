from __future__ import annotations

import pytest

from sidecar.core.directory import DirectoryError
from sidecar.io.redis_client import answer, open_redis


async def test_a_redis_that_is_not_there_is_one_kind_of_error() -> None:
    redis = open_redis("unix:///nowhere/redis.sock")
    with pytest.raises(DirectoryError, match=r"^Redis: .*No such file"):
        await answer(redis.ping())
    await redis.aclose()
