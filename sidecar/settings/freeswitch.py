"""The event sockets of FreeSWITCHes: `[freeswitch.NAME]`."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from sidecar.secret import Secret
from sidecar.settings.section import Section

_HOST = r"^([0-9A-Za-z_-]{1,63}(\.[0-9A-Za-z_-]{1,63})*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$"


class FreeswitchSettings(Section):
    """The event socket of a FreeSWITCH, and how that FreeSWITCH calls us."""

    host: str = Field("127.0.0.1", pattern=_HOST)  # a name or an address
    port: int = Field(8021, ge=1, le=65535)
    password: Secret
    dial: str = Field("sofia/external/sip:{user}@{sidecar}", pattern=r"^[!-+\--z~{}]+$")  # no comma, no space, no |

    @field_validator("password")
    @classmethod
    def _password_is_a_line(cls, password: SecretStr) -> SecretStr:
        if set(password.get_secret_value()) & set("\r\n\0"):
            raise ValueError("a line end cannot be in it")
        return password
