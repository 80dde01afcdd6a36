"""What the outside asks of streams, and what is answered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sidecar.core.clip import Clip, ClipKind
from sidecar.core.commands import (
    Change,
    ClearPlayback,
    Command,
    Dial,
    End,
    Hangup,
    Pause,
    PausePlayback,
    Play,
    Resume,
    ResumePlayback,
    Say,
    Transfer,
)
from sidecar.core.errors import CommandError
from sidecar.core.link import (
    AskStats,
    BotClosed,
    BotConnected,
    BotFailed,
    BotLost,
    BotResumed,
    ChangeBot,
    ChangeFormat,
    CloseStream,
    ControlPlayback,
    LegChanged,
    PauseAudio,
    PlayClip,
    SendText,
    StatsTold,
    StreamEnded,
    StreamRefused,
    StreamStats,
    TextUnsent,
    ToWorker,
)
from sidecar.core.options import MixMode
from sidecar.core.stream_commands import MOST_TEXT_BYTES, MOST_TEXTS
from sip import Request
from tests.support.raw_caller import WALL_CLOCK, RawCaller, goodbye, statuses
from tests.unit.sidecar.core.test_stream_session import connected, hang_up, sdp

CLIP = {"audioDataType": "raw", "sampleRate": 16000, "audioData": "AAAA", "id": 7}


def ask(caller: RawCaller, command: Command) -> list[ToWorker]:
    """Ask something of the stream; return what the worker is told for that."""
    before = len(caller.told)
    caller.control.obey(caller.stream, command, now=caller.now)
    caller.drain()
    return caller.told[before:]


def refused(caller: RawCaller, command: Command) -> tuple[int, str | None]:
    with pytest.raises(CommandError) as raised:
        ask(caller, command)
    assert caller.drain() == []
    return raised.value.http_status, raised.value.field


@pytest.mark.parametrize(
    "command",
    [
        Change({}),
        Pause(),
        Resume(),
        Say("x"),
        Play(CLIP),
        ClearPlayback(),
        PausePlayback(),
        ResumePlayback(),
        Dial("1"),
        End(),
    ],
)
def test_commands_survive_a_wire(command: Command) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=Command) == command


def test_what_concerns_the_worker_alone_goes_there() -> None:
    caller = connected()
    stream = caller.stream
    assert ask(caller, Pause()) == [PauseAudio(stream, True)]
    assert caller.control.stream(stream).paused
    assert ask(caller, Resume()) == [PauseAudio(stream, False)]
    assert not caller.control.stream(stream).paused
    assert ask(caller, ClearPlayback()) == [ControlPlayback(stream, "clear")]
    assert ask(caller, PausePlayback()) == [ControlPlayback(stream, "pause")]
    assert ask(caller, ResumePlayback()) == [ControlPlayback(stream, "resume")]
    body = '{"audioDataType":"raw","sampleRate":16000,"id":7}'
    assert ask(caller, Play(CLIP)) == [PlayClip(stream, Clip(ClipKind.RAW, 16000, "AAAA"), body)]
    hang_up(caller)


def test_what_concerns_the_call_is_done() -> None:
    caller = connected()
    caller.control.obey(caller.stream, Dial("1"), now=caller.now)
    (info,) = caller.drain()
    assert isinstance(info, Request)
    assert info.method == "INFO"
    caller.respond(info, 200)
    caller.control.obey(caller.stream, Transfer("sip:a@192.0.2.10"), now=caller.now)
    (refer,) = caller.drain()
    assert isinstance(refer, Request)
    assert refer.method == "REFER"
    caller.respond(refer, 403)
    caller.control.obey(caller.stream, Hangup("USER_BUSY"), now=caller.now)
    assert goodbye(caller.drain()) == 'Q.850;cause=17;text="the operator hangs up"'
    assert refused(caller, Pause()) == (409, None)  # it is ending


def test_the_last_text_goes_before_the_end() -> None:
    caller = connected()
    assert ask(caller, End("bye")) == [SendText(caller.stream, "bye", keep=True), CloseStream(caller.stream)]


def test_a_stream_ends_though_its_bot_is_not_there_for_the_last_text() -> None:
    caller = connected(on_bot_close="keep")
    caller.worker_says(BotClosed(caller.stream, 1000, ""))
    assert ask(caller, End("bye")) == [CloseStream(caller.stream)]


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Hangup(0), "cause"),
        (Hangup(128), "cause"),
        (Hangup("NONSENSE"), "cause"),
        (Dial("x"), "digits"),
        (Dial("1", 1), "duration_ms"),
        (Transfer("tel:+49"), "to"),
        (Say("x" * (MOST_TEXT_BYTES + 1)), "text"),
        (Play({}), "audioDataType"),
        (Play({**CLIP, "sampleRate": 1}), "sampleRate"),
    ],
)
def test_what_nobody_could_do_names_the_field(command: Command, field: str) -> None:
    caller = connected()
    assert refused(caller, command) == (422, field)
    hang_up(caller)


def test_what_the_state_does_not_allow_is_refused() -> None:
    caller = RawCaller(playback="false")
    caller.invite(sdp())
    assert refused(caller, Dial("1")) == (409, None)
    assert refused(caller, Transfer("sip:a@b")) == (409, None)
    assert refused(caller, Play(CLIP)) == (409, None)
    with pytest.raises(CommandError) as raised:
        caller.control.obey("none", Pause(), now=0.0)
    assert raised.value.http_status == 404


# --- changes


def test_a_change_of_format_goes_to_the_worker_and_is_seen() -> None:
    caller = connected()
    change = Change({"mix": "stereo", "rate": "16k", "buffer_size": "100"})
    assert ask(caller, change) == [ChangeFormat(caller.stream, MixMode.STEREO, 16000, 100)]
    seen = caller.control.stream(caller.stream)
    assert (seen.mix, seen.rate, seen.buffer_size, seen.sample_rate) == ("stereo", 16000, 100, 8000)
    assert ask(caller, change) == []
    assert ask(caller, Change({})) == []
    hang_up(caller)


def test_another_bot_is_called_by_the_options_that_hold_then() -> None:
    caller = connected(extra_headers='{"X-Key": "1"}')
    warnings = caller.control.obey(
        caller.stream, Change({"url": "ws://user:pw@other.example/?q", "rate": "16k"}), now=caller.now
    )
    assert warnings == ["extra_headers: kept back, since the bot is another"]
    caller.drain()
    format_change, bot_change = caller.told[-2:]
    assert format_change == ChangeFormat(caller.stream, MixMode.MONO, 16000, 20)
    assert isinstance(bot_change, ChangeBot)
    assert (bot_change.options.url, bot_change.options.rate) == ("ws://user:pw@other.example/?q", 16000)
    assert caller.control.stream(caller.stream).url == "ws://other.example:80/"
    hang_up(caller)


def test_what_cannot_be_changed_is_refused_whole() -> None:
    caller = connected(on_bot_close="keep")
    assert refused(caller, Change({"mix": "stereo", "rate": "7k"})) == (422, "rate")
    assert refused(caller, Change({"auth": "bearer x"})) == (422, "auth")
    assert refused(caller, Change({"url": "ws://169.254.169.254/"})) == (403, "url")
    assert caller.control.stream(caller.stream).mix == "mono"
    caller.worker_says(BotClosed(caller.stream, 1000, ""))
    assert refused(caller, Change({"url": "ws://other.example/"})) == (409, None)
    hang_up(caller)


# --- texts


def texts(messages: list[ToWorker]) -> list[str]:
    return [each.text for each in messages if isinstance(each, SendText) and each.keep]


def test_texts_wait_for_the_bot_and_keep_their_order() -> None:
    caller = RawCaller()
    caller.invite(sdp())
    assert ask(caller, Say("early")) == []
    caller.worker_says(BotConnected(caller.stream))
    caller.send("ACK", cseq=1)
    assert texts(caller.told) == ["early"]
    ask(caller, Say("1"))
    ask(caller, Say("2"))
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    assert ask(caller, Say("3")) == []
    caller.worker_says(TextUnsent(caller.stream, "1"))
    caller.worker_says(TextUnsent(caller.stream, "2"))
    before = len(caller.told)
    caller.worker_says(BotResumed(caller.stream, 0, 0))
    assert texts(caller.told[before:]) == ["1", "2", "3"]
    assert texts(ask(caller, Say("4"))) == ["4"]
    hang_up(caller)


@pytest.mark.parametrize(("text", "fit"), [("x", MOST_TEXTS), ("é" * (MOST_TEXT_BYTES // 8), 4)])
def test_only_so_many_texts_wait(text: str, fit: int) -> None:
    caller = connected()
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    for _ in range(fit):
        ask(caller, Say(text))
    assert refused(caller, Say(text)) == (503, None)
    caller.worker_says(TextUnsent(caller.stream, text))
    assert "too many texts wait" in str(caller.events[-1].body)
    hang_up(caller)


def test_texts_that_waited_in_vain_are_told_of() -> None:
    caller = connected(on_bot_lost="keep")
    caller.worker_says(BotLost(caller.stream, 1006, "connection lost", 1))
    ask(caller, Say("1"))
    ask(caller, Say("2"))
    caller.worker_says(BotFailed(caller.stream, 6, "Connection refused"))
    assert "2 texts" in str(caller.events[-1].body)
    assert refused(caller, Say("3")) == (409, None)
    hang_up(caller)


# --- what is seen


def test_a_stream_is_seen_without_its_secrets() -> None:
    caller = RawCaller(
        url="wss://user:secret@bot.example:8443/ws?token=secret", call="a-uuid", mix="stereo", rate="16k"
    )
    caller.now = 5.0
    caller.invite(sdp())
    seen = caller.control.stream(caller.stream)
    assert "secret" not in repr(seen)
    assert (seen.url, seen.call, seen.mix) == ("wss://bot.example:8443/ws", "a-uuid", "stereo")
    assert (seen.rate, seen.sample_rate, seen.buffer_size, seen.codec) == (16000, 16000, 20, "PCMU")
    assert (seen.state, seen.bot, seen.events) == ("starting", "connecting", 1)
    assert seen.started_at == WALL_CLOCK + 5.0
    caller.worker_says(BotConnected(caller.stream))
    caller.send("ACK", cseq=1)
    seen = caller.control.stream(caller.stream)
    assert (seen.state, seen.bot, seen.events) == ("up", "connected", 2)
    assert caller.control.streams() == [seen]
    assert caller.control.has(caller.stream)
    assert not caller.control.has("another")
    caller.send("BYE")
    seen = caller.control.stream(caller.stream)
    assert (seen.state, seen.bot) == ("ending", "gone")


def test_an_address_of_ipv6_is_seen_as_it_was() -> None:
    caller = RawCaller(url="ws://[2001:db8::1]/ws")
    caller.invite(b"")
    seen = caller.control.stream(caller.stream)
    assert (seen.url, seen.codec) == ("ws://[2001:db8::1]:80/ws", None)


def test_events_have_the_call_and_the_time() -> None:
    caller = connected(call="a-uuid")
    assert {event.call for event in caller.events} == {"a-uuid"}
    assert [event.time for event in caller.events] == ["2027-01-15T08:00:00.000Z"] * 2
    start: Any = caller.events[0].body.value()
    assert start["call_id"] == caller.control.stream(caller.stream).call_id != "a-uuid"
    assert list(start) == ["call_id", "from", "to", "url", "mix", "rate", "warnings"]


def test_a_refused_call_has_the_name_that_it_was_given() -> None:
    caller = RawCaller()
    assert 400 in statuses(caller.invite(sdp(), headers=["X-STREAM_CALL: a-uuid", "X-STREAM_RATE: 1"]))
    assert [event.call for event in caller.events] == ["a-uuid"]


def test_stats_are_answered_each_time_even_by_the_end() -> None:
    caller = connected()
    stats = StreamStats(packets_received=7)
    caller.control.ask_stats(caller.stream)
    caller.drain()
    assert caller.told[-1] == AskStats(caller.stream)
    caller.worker_says(StatsTold(caller.stream, stats))
    assert caller.answers == [StatsTold(caller.stream, stats)]
    caller.worker_says(StatsTold(caller.stream, stats))  # that nobody has asked for
    caller.control.ask_stats(caller.stream)
    caller.control.ask_stats(caller.stream)
    caller.worker_says(StreamEnded(caller.stream, stats))
    assert caller.answers == [StatsTold(caller.stream, stats)] * 3
    with pytest.raises(CommandError, match="over"):
        caller.control.ask_stats(caller.stream)


def test_stats_of_a_stream_that_never_was_are_none() -> None:
    caller = connected()
    caller.control.ask_stats(caller.stream)
    caller.worker_says(StreamRefused(caller.stream, "no room"))
    assert caller.answers == [StatsTold(caller.stream, StreamStats())]
    assert LegChanged not in map(type, caller.told)
