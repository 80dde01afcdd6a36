"""How settings are read: the configuration file, and the environment, which goes before it."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as SourceError

from sidecar.settings.root import Settings


class SettingsError(Exception):
    """The settings cannot be used; the message names each field that is wrong."""


def load_settings(config: Path | None = None, values: Mapping[str, Any] | None = None) -> Settings:
    """Read the configuration file, then the environment; raise `SettingsError` that names what is wrong.

    `values` stands for the file where there is none.
    """
    try:
        given = tomllib.loads(config.read_text()) if config else dict(values or {})
        _check_variables(os.environ)
        return Settings(**given)
    except OSError as error:
        raise SettingsError(f"{config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config}: {error}") from None
    except SourceError as error:
        raise SettingsError(f"{_variables_of(error)}: a list, or a whole section, is written as JSON") from None
    except ValidationError as error:
        raise SettingsError("\n".join(map(_in_words, error.errors()))) from None


def _check_variables(names: Iterable[str]) -> None:
    """Refuse variables that set nothing in a section that does not exist; in one that does, pydantic refuses them."""
    prefix, delimiter = Settings.model_config.get("env_prefix", ""), "__"
    sections = {name: name.upper().removeprefix(prefix).partition(delimiter)[0] for name in names if delimiter in name}
    known = {field.upper() for field in Settings.model_fields}
    unknown = sorted(name for name in sections if name.upper().startswith(prefix) and sections[name] not in known)
    if unknown:
        raise SettingsError("\n".join(f"{name}: there is no section {sections[name].lower()}" for name in unknown))


def unused_variables(names: Iterable[str]) -> list[str]:
    """Return the variables that look like ours and set nothing, such as SIDECAR_SIP_PORT for SIDECAR_SIP__PORT.

    They are no error: Kubernetes gives each pod SIDECAR_SERVICE_HOST and more, if there is a Service named sidecar.
    """
    prefix = Settings.model_config.get("env_prefix", "")
    known = {prefix + field.upper() for field in Settings.model_fields}
    ours = (name for name in names if name.upper().startswith(prefix) and "__" not in name)
    return sorted(name for name in ours if name.upper() not in known)


def _variables_of(error: SourceError) -> str:
    """Name the variables of the environment that are no JSON; pydantic names the section alone."""
    wrong = error.__cause__.doc if isinstance(error.__cause__, json.JSONDecodeError) else None
    prefix = Settings.model_config.get("env_prefix", "")
    names = [name for name, value in os.environ.items() if value == wrong and name.upper().startswith(prefix)]
    return ", ".join(names) or str(error)


def _in_words(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    return ": ".join(filter(None, [field, error["msg"].removeprefix("Value error, ")]))
