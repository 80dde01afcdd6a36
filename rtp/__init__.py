"""RTP for many calls at once, without I/O and without a clock."""

from rtp.codec import CLOCK_RATE, Codec
from rtp.dtmf_receiver import Digit, DtmfCounters, DtmfReceiver
from rtp.dtmf_sender import DtmfSender, EventPacket
from rtp.errors import RtpError
from rtp.event_payload import DIGITS, EventPayload
from rtp.jitter_buffer import JitterBuffer
from rtp.leg import Leg
from rtp.media_plane import MediaPlane, PlaneCounters
from rtp.pacer import Pacer
from rtp.packet import RtpPacket
from rtp.payload_coding import prepare
from rtp.pcm import FRAME_MS, Frames, Pcm, Rows, frame_samples, interleave, mix
from rtp.receive_counters import ReceiveCounters
from rtp.receive_stream import ReceiveStream
from rtp.resampler import Resampler
from rtp.routes import AddressKeys, address_key, address_of_key
from rtp.send_rows import PACKET_BYTES, PACKETS_A_FRAME
from rtp.telephone_event import TelephoneEvent

__all__ = [
    "CLOCK_RATE",
    "DIGITS",
    "FRAME_MS",
    "PACKETS_A_FRAME",
    "PACKET_BYTES",
    "AddressKeys",
    "Codec",
    "Digit",
    "DtmfCounters",
    "DtmfReceiver",
    "DtmfSender",
    "EventPacket",
    "EventPayload",
    "Frames",
    "JitterBuffer",
    "Leg",
    "MediaPlane",
    "Pacer",
    "Pcm",
    "PlaneCounters",
    "ReceiveCounters",
    "ReceiveStream",
    "Resampler",
    "Rows",
    "RtpError",
    "RtpPacket",
    "TelephoneEvent",
    "address_key",
    "address_of_key",
    "frame_samples",
    "interleave",
    "mix",
    "prepare",
]
