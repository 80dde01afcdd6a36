"""RTP for many calls at once, without I/O and without a clock."""

from rtp.dtmf_receiver import Digit, DtmfCounters, DtmfReceiver
from rtp.dtmf_sender import DtmfSender, EventPacket
from rtp.errors import RtpError
from rtp.event_payload import DIGITS, EventPayload
from rtp.g711 import CLOCK_RATE, Codec
from rtp.jitter_buffer import JitterBuffer
from rtp.media_plane import PACKET_BYTES, Frames, MediaPlane, PlaneCounters
from rtp.pacer import Pacer
from rtp.packet import RtpPacket
from rtp.pcm import FRAME_MS, Pcm, Rows, frame_samples, interleave, mix
from rtp.receive_stream import ReceiveCounters, ReceiveStream
from rtp.resampler import Resampler
from rtp.routes import AddressKeys, address_key, address_of_key

__all__ = [
    "CLOCK_RATE",
    "DIGITS",
    "FRAME_MS",
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
    "address_key",
    "address_of_key",
    "frame_samples",
    "interleave",
    "mix",
]
