"""RTP for many calls at once, without I/O and without a clock."""

from rtp.codec import CLOCK_RATE, Codec
from rtp.dtmf_receiver import Digit, DtmfCounters, DtmfReceiver
from rtp.dtmf_sender import LONGEST_MS, SHORTEST_MS, DtmfSender, EventPacket
from rtp.errors import RtpError
from rtp.event_payload import DIGITS, EventPayload
from rtp.gate import Gate, GateCounters
from rtp.jitter_buffer import JitterBuffer
from rtp.jitter_rows import JitterRows
from rtp.learned_address import LearnedAddress
from rtp.leg import Leg
from rtp.media_plane import MediaPlane
from rtp.media_timeout import MediaLost, MediaTimeout
from rtp.pacer import Pacer
from rtp.packet import RtpPacket
from rtp.payload_coding import prepare
from rtp.pcm import FRAME_MS, Frames, Pcm, Rows, frame_samples, interleave, mix, records
from rtp.port_allocator import PortAllocator
from rtp.quality import Impairment, mean_opinion_score, rating
from rtp.receive_counters import ReceiveCounters
from rtp.receive_stream import ReceiveStream
from rtp.reception import Reception, ReceptionStatistics
from rtp.resampler import Resampler
from rtp.routes import AddressKeys, address_key, address_of_key
from rtp.rtcp_packet import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    compound,
    is_rtcp,
    parse_compound,
)
from rtp.rtcp_rows import Report, ReportAddress, RtcpRows, RtcpRowsCounters
from rtp.rtcp_session import PeerLeft, Quality, RtcpCounters, RtcpSession, ntp_time
from rtp.send_rows import PACKET_BYTES, PACKETS_A_FRAME, Sent
from rtp.srtp import SRTP_SUITES, Srtp, SrtpCounters, SrtpError
from rtp.telephone_event import TelephoneEvent
from rtp.tone_detector import ToneDetector
from rtp.unknown_sources import UnknownSources
from rtp.voice_detector import QUIETEST, START_FRAMES, VoiceDetector, Voices, voice_power
from rtp.voice_pair import VoicePair

__all__ = [
    "CLOCK_RATE",
    "DIGITS",
    "FRAME_MS",
    "LONGEST_MS",
    "PACKETS_A_FRAME",
    "PACKET_BYTES",
    "QUIETEST",
    "SHORTEST_MS",
    "SRTP_SUITES",
    "START_FRAMES",
    "AddressKeys",
    "Codec",
    "Digit",
    "DtmfCounters",
    "DtmfReceiver",
    "DtmfSender",
    "EventPacket",
    "EventPayload",
    "Frames",
    "Gate",
    "GateCounters",
    "Goodbye",
    "Impairment",
    "JitterBuffer",
    "JitterRows",
    "LearnedAddress",
    "Leg",
    "MediaLost",
    "MediaPlane",
    "MediaTimeout",
    "Pacer",
    "Pcm",
    "PeerLeft",
    "PortAllocator",
    "Quality",
    "ReceiveCounters",
    "ReceiveStream",
    "ReceiverReport",
    "Reception",
    "ReceptionStatistics",
    "Report",
    "ReportAddress",
    "ReportBlock",
    "Resampler",
    "Rows",
    "RtcpCounters",
    "RtcpPacket",
    "RtcpRows",
    "RtcpRowsCounters",
    "RtcpSession",
    "RtpError",
    "RtpPacket",
    "SenderReport",
    "Sent",
    "SourceDescription",
    "Srtp",
    "SrtpCounters",
    "SrtpError",
    "TelephoneEvent",
    "ToneDetector",
    "UnknownSources",
    "VoiceDetector",
    "VoicePair",
    "Voices",
    "address_key",
    "address_of_key",
    "compound",
    "frame_samples",
    "interleave",
    "is_rtcp",
    "mean_opinion_score",
    "mix",
    "ntp_time",
    "parse_compound",
    "prepare",
    "rating",
    "records",
    "voice_power",
]
