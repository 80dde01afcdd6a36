"""Passwords and tokens in settings: written down, or named by where they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, SecretStr


def _resolve(value: Any) -> Any:
    """Replace `env:NAME` and `file:PATH` by what they name, less the line end; no message repeats a secret."""
    if not isinstance(value, str):
        return value
    kind, _, name = value.partition(":")
    if kind == "env":
        if name not in os.environ:
            raise ValueError(f"there is no variable {name!r} in the environment")
        value = os.environ[name]
    elif kind == "file":
        try:
            value = Path(name).read_text().rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"{name}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{name}: is not UTF-8 text") from None
    if not value:
        raise ValueError("is empty")
    return value


Secret = Annotated[SecretStr, BeforeValidator(_resolve)]
"""A text that no repr and no log shows: `env:NAME`, `file:PATH`, or the secret itself."""
