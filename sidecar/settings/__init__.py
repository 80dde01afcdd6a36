"""Settings: typed, frozen, checked at start.

`SIDECAR_SIP__PORT=5080` in the environment goes before `port` under `[sip]` in the configuration file (TOML).
"""

from sidecar.settings.api import ApiSettings
from sidecar.settings.directory import DirectorySettings
from sidecar.settings.freeswitch import FreeswitchSettings
from sidecar.settings.loading import SettingsError, load_settings, unused_variables
from sidecar.settings.root import Settings
from sidecar.settings.rtp import RtpSettings
from sidecar.settings.sip import SipSettings

__all__ = [
    "ApiSettings",
    "DirectorySettings",
    "FreeswitchSettings",
    "RtpSettings",
    "Settings",
    "SettingsError",
    "SipSettings",
    "load_settings",
    "unused_variables",
]
