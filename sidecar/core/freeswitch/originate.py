"""The command that makes FreeSWITCH call us with a leg that listens to a call.

FreeSWITCH takes such a command apart three times, by spaces, commas and `=`, each with quotes and backslashes of its
own. Nothing that anybody but the operator chose is in it: the UUID of the call has nothing but harmless characters, and
the options of the stream stay here, where the ticket finds them (docs/adr/0035).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from sidecar.core.freeswitch.channel import is_call_uuid
from sidecar.core.freeswitch.eavesdrop import EavesdropLeg

TICKET_HEADER = "X-Sidecar-Ticket"

_MEDIA_TIMEOUT_MS = 5000
"""A leg whose sidecar has died is noticed by its silence: ours never stops while a call is up."""


def originate_command(
    call: str, leg: EavesdropLeg, *, uuid: str, ticket: str, codec: str, dial: str, user: str, seconds: int
) -> str:
    """Return the command; `dial` is where we are, with `{user}` for the profile."""
    assert is_call_uuid(call)
    variables: Sequence[tuple[str, str]] = [
        ("origination_uuid", uuid),
        ("origination_caller_id_name", "sidecar"),
        ("origination_caller_id_number", "sidecar"),
        ("absolute_codec_string", codec),
        ("originate_timeout", str(seconds)),
        ("media_timeout", str(_MEDIA_TIMEOUT_MS)),
        ("sip_contact_user", "freeswitch"),  # where it has an address for the outside, we are told the own one
        ("eavesdrop_enable_dtmf", "false"),  # digits of ours would change who is heard
        *leg.variables,
        (f"sip_h_{TICKET_HEADER}", ticket),
    ]
    braces = ",".join(f"{name}={value}" for name, value in variables)
    return f"originate {{{braces}}}{dial.replace('{user}', quote(user, safe=''))} &eavesdrop({call})"
