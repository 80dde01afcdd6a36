"""All that control and worker say to each other survives a wire."""

from __future__ import annotations

import msgspec
import pytest

from sidecar.core.clip import Clip, ClipKind
from sidecar.core.link import (
    AnswerAsked,
    AskStats,
    BotClosed,
    BotConnected,
    BotFailed,
    BotText,
    ChangeBot,
    ChangeFormat,
    CloseStream,
    ControlPlayback,
    DigitsAsked,
    FromWorker,
    HangupAsked,
    OpenStream,
    PauseAudio,
    PlaybackDrained,
    PlayClip,
    SendText,
    StartMedia,
    StatsTold,
    StreamEnded,
    StreamRefused,
    StreamStats,
    StreamTold,
    TextUnsent,
    ToWorker,
    TransferAsked,
    WorkerReady,
)
from sidecar.core.media_leg import MediaLeg
from sidecar.core.options import AnswerMode, MixMode, StreamOptions

LEG = MediaLeg("PCMA", 8, 8, "192.0.2.1", 4000, ["192.0.2.2"])
OPTIONS = StreamOptions(
    url="wss://bot.example/ws",
    mix=MixMode.STEREO,
    rate=16000,
    sample_rate=24000,
    metadata='{"ü": 1}',
    buffer_size=100,
    extra_headers={"X-Key": "a b"},
    answer=AnswerMode.EARLY,
    preroll=0,
)


@pytest.mark.parametrize(
    "message",
    [
        OpenStream("one", LEG, OPTIONS),
        OpenStream("two", LEG, StreamOptions(url="ws://bot.example")),
        StartMedia("one"),
        SendText("one", "hello"),
        SendText("one", "hello", keep=True),
        PauseAudio("one", True),
        ChangeFormat("one", MixMode.STEREO, 16000, 100),
        ChangeBot("one", OPTIONS),
        PlayClip("one", Clip(ClipKind.MP3, None, "AAAA"), "{}"),
        ControlPlayback("one", "clear"),
        AskStats("one"),
        CloseStream("one"),
        CloseStream("one", 1001, "the sidecar stops"),
    ],
)
def test_what_control_says_arrives_as_it_was(message: ToWorker) -> None:
    arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=ToWorker)
    assert arrived == message
    assert type(arrived) is type(message)


@pytest.mark.parametrize(
    "message",
    [
        WorkerReady(40000),
        StreamRefused("one", "no room"),
        BotConnected("one"),
        BotFailed("one", 6, "the bot refused: HTTP 403"),
        BotClosed("one", 1000, ""),
        BotText("one", '{"type": "clear"} ü \N{PILE OF POO} \0'),
        StreamTold("one", "mark", "{}"),
        TextUnsent("one", "hello"),
        StatsTold("one", StreamStats(7)),
        AnswerAsked("one"),
        HangupAsked("one", True, None),
        HangupAsked("one", False, 17),
        HangupAsked("one", False, "USER_BUSY"),
        TransferAsked("one", "sip:a@b"),
        DigitsAsked("one", "12", 100),
        PlaybackDrained("one"),
        StreamEnded("one", StreamStats()),
        StreamEnded("one", StreamStats(*range(1, 1 + len(StreamStats.__struct_fields__)))),
    ],
)
def test_what_a_worker_says_arrives_as_it_was(message: FromWorker) -> None:
    arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=FromWorker)
    assert arrived == message
    assert type(arrived) is type(message)
