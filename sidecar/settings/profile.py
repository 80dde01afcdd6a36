"""Options of streams: `[stream]` and `[profiles.NAME]`."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from sidecar.core.options import OptionError, Profile, resolve_options


def _option_text(value: Any) -> Any:
    """Spell a TOML value as the option's text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value) if isinstance(value, int) else value


OptionText = Annotated[str, BeforeValidator(_option_text)]


class ProfileSettings(BaseModel):
    """Options of the calls to `sip:NAME@sidecar`; `locked` ones cannot be set by the call."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, OptionText]

    locked: tuple[str, ...] = ()

    def profile(self) -> Profile:
        """Return it as the core knows it."""
        return Profile(dict(self.__pydantic_extra__), frozenset(self.locked))


def check_options(where: str, settings: ProfileSettings) -> None:
    """Refuse at start what every call would be refused for later."""
    profile = settings.profile()
    try:
        _, warnings = resolve_options({}, [profile, Profile({"url": "ws://localhost"})])
    except OptionError as error:
        raise ValueError(f"{where}.{error}") from None
    unknown = [warning for warning in warnings if "no such option" in warning]
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)}")
