"""The command that makes FreeSWITCH call us."""

from __future__ import annotations

from sidecar.core.freeswitch.eavesdrop import EavesdropLeg
from sidecar.core.freeswitch.originate import originate_command
from sidecar.core.options import Track


def test_the_command_is_what_was_measured_to_work() -> None:
    leg = EavesdropLeg(Track.CALLEE, (("eavesdrop_bridge_bleg", "true"), ("eavesdrop_whisper_bleg", "true")))
    command = originate_command(
        "eb46e254-1a8e",
        leg,
        uuid="1-2",
        ticket="abc",
        codec="PCMU@8000h@20i",
        dial="sofia/external/sip:{user}@127.0.0.1:5070",
        user="sales, east&west",
        seconds=30,
    )
    assert command == (
        "originate {origination_uuid=1-2,origination_caller_id_name=sidecar,origination_caller_id_number=sidecar,"
        "absolute_codec_string=PCMU@8000h@20i,originate_timeout=30,media_timeout=5000,sip_contact_user=freeswitch,"
        "eavesdrop_enable_dtmf=false,eavesdrop_bridge_bleg=true,eavesdrop_whisper_bleg=true,sip_h_X-Sidecar-Ticket=abc}"
        "sofia/external/sip:sales%2C%20east%26west@127.0.0.1:5070 &eavesdrop(eb46e254-1a8e)"
    )
