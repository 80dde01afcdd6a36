"""Secrets that options only point to."""

from __future__ import annotations

import asyncio
import os

from sidecar.core.authorization import SecretSource, authorization_header, secret_source
from sidecar.core.errors import ErrorCode
from sidecar.io.stream_error import StreamError

_MOST_BYTES = 64 << 10


async def read_authorization(auth: str | None) -> str | None:
    """Return the Authorization header of a stream, or None; raise `StreamError`, which says where, but not what.

    A file is read for each connection, so that a secret can be changed; in a thread, since a disk may be slow.
    """
    if auth is None:
        return None
    source = secret_source(auth)
    if source is None:
        return authorization_header(auth)
    kind, where = source
    try:
        text = os.environ[where] if kind is SecretSource.ENV else await asyncio.to_thread(_read_file, where)
        return authorization_header(text)
    except KeyError:
        why = "no such variable"
    except OSError as error:
        why = error.strerror or "not readable"
    except ValueError as error:
        why = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
    raise StreamError(ErrorCode.CONNECT_FAILED, f"auth: {kind.value}:{where}: {why}")


def _read_file(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(_MOST_BYTES).decode()
