"""What a bot wants to be played, and what it and control are told of it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest

from rtp import PACKET_BYTES, Codec, Leg, MediaPlane, address_key
from sidecar.core.bridge import Bridge
from sidecar.core.clip import Clip, ClipKind
from sidecar.core.link import AnswerAsked, BotSpoke, BotText, DigitsAsked, HangupAsked, StreamTold, TransferAsked
from sidecar.core.options import EventKind, StreamOptions
from sidecar.core.playback_events import (
    ChunkPlayed,
    PlaybackEvent,
    PlaybackRefused,
    QueueCompleted,
    Underrun,
    Xoff,
    Xon,
)
from sidecar.core.player import (
    HEARD_A_SECOND,
    HEARD_AT_ONCE,
    TOLD_A_SECOND,
    TOLD_AT_ONCE,
    Player,
)

CLIP = {"audioDataType": "raw", "sampleRate": 8000, "audioData": "AAAA"}


class Rig:
    """A player, and what it has said so far."""

    def __init__(self, **options: Any) -> None:
        plane = MediaPlane(1, Random(1))
        row = plane.open(Leg(Codec.PCMU, 0, 0, address_key("192.0.2.1", 5000)))
        assert row is not None
        self.bridge = Bridge(plane, random_bytes=Random(2).randbytes)
        stream = StreamOptions(url="ws://bot.example", preroll=0, **options)
        self.bridge.open(row, stream, playout_seconds=10.0)
        self.bridge.start(row)
        self.player = Player("one", row, stream, self.bridge)

    def say(self, kind: str, **data: Any) -> None:
        self.player.receive(json.dumps({"type": kind, "data": data}), now=0.0)

    def told(self) -> list[tuple[str, Any]]:
        """What the bot was told since it was asked last."""
        texts = [json.loads(text) for text in self.player.texts]
        self.player.texts.clear()
        return [(text["type"], text["data"]) for text in texts]

    def events(self) -> list[tuple[str, Any]]:
        """What became events since it was asked last, but for `json`."""
        said = [(each.kind, json.loads(each.body)) for each in self.player.messages if isinstance(each, StreamTold)]
        self.player.messages.clear()
        return said

    def frame(self) -> None:
        """Let the call take its next frame."""
        room = np.zeros((1, PACKET_BYTES), np.uint8), np.zeros(1, np.uint64), np.zeros(1, np.uint64)
        for _ in range(4):
            self.bridge.tick(*room, now=0.0)
        for _, event in self.bridge.playback.take_news():
            self.player.tell(event)


def test_marks_and_clear_are_answered() -> None:
    rig = Rig()
    rig.say("mark", name="at once")
    assert rig.told() == [("mark", {"name": "at once", "event": "playout"})]
    assert rig.events() == [("mark", {"name": "at once", "event": "playout"})]
    rig.player.play(bytes(640), now=0.0)
    rig.say("mark", name="m")
    rig.frame()
    assert rig.told() == []
    rig.say("clear")
    assert rig.told() == [
        ("mark", {"name": "m", "event": "cleared"}),
        ("cleared", {"played_ms": 20, "dropped_ms": 20, "marks": ["m"]}),
    ]


def test_pause_and_resume_are_answered() -> None:
    rig = Rig()
    rig.player.play(bytes(640), now=0.0)
    rig.say("pause")
    rig.frame()
    rig.say("resume")
    assert rig.told() == [("pause", {"ok": True, "queued_ms": 40}), ("resume", {"ok": True, "queued_ms": 40})]
    rig.frame()
    assert rig.bridge.playback.buffer(0).queued_bytes == 320


@pytest.mark.parametrize("asked", [True, False])
def test_somebody_else_clears_what_the_bot_has_said(asked: bool) -> None:
    rig = Rig(events=frozenset({EventKind.PLAYBACK} if asked else ()))
    rig.player.play(bytes(640), now=0.0)
    rig.say("mark", name="m")
    rig.frame()
    rig.events()
    rig.player.control("clear", now=0.0)
    mark = ("mark", {"name": "m", "event": "cleared"})
    data = {"played_ms": 20, "dropped_ms": 20, "marks": ["m"]}
    assert rig.events() == [mark, ("playback", {"event": "cleared", **data})]
    assert rig.told() == [mark, ("cleared", {**data, "reason": "operator"})][: 1 + asked]


def test_somebody_else_pauses_what_the_bot_has_said() -> None:
    rig = Rig()
    rig.player.play(bytes(640), now=0.0)
    rig.player.control("pause", now=0.0)
    rig.frame()
    rig.player.control("resume", now=0.0)
    rig.frame()
    assert rig.bridge.playback.buffer(0).queued_bytes == 320
    assert rig.told() == rig.events() == []


def test_a_clip_of_somebody_else_is_told_of_and_played() -> None:
    rig = Rig()
    rig.player.play_clip(Clip(ClipKind.RAW, 8000, "AAAA"), '{"id":1}', now=0.0)
    assert rig.events() == [("play", {"id": 1})]
    assert len(rig.player.clips) == 1


def test_audio_of_another_rate_does_not_go_to_the_rows() -> None:
    rig = Rig()
    rig.player.play(bytes(640), now=0.0)
    assert rig.player.takes_frames
    rig.say("rawAudio", sampleRate=16000)
    assert not rig.player.takes_frames


def test_the_first_audio_of_a_bot_is_told_once() -> None:
    rig = Rig()
    assert not rig.player.takes_frames, "that would be the way past the player"
    rig.player.play_clip(Clip(ClipKind.RAW, 8000, "AAAA"), "{}", now=0.0)
    rig.player.write_clip(rig.player.clips[0], b"ab", now=0.0)
    assert BotSpoke("one") not in rig.player.messages, "somebody else's"
    rig.player.play(b"ab", now=0.0)
    assert rig.player.messages.count(BotSpoke("one")) == 1
    rig.player.play(b"ab", now=0.0)
    rig.say("streamAudio", **CLIP)
    rig.player.write_clip(rig.player.clips[1], b"ab", now=0.0)
    assert rig.player.messages.count(BotSpoke("one")) == 1


def test_the_first_audio_may_be_a_clip() -> None:
    rig = Rig()
    rig.say("streamAudio", **CLIP)
    rig.player.write_clip(rig.player.clips[0], b"ab", now=0.0)
    assert rig.player.messages.count(BotSpoke("one")) == 1


def test_a_clip_takes_its_place_and_is_played_when_it_is_decoded() -> None:
    rig = Rig()
    rig.say("streamAudio", **CLIP)
    assert isinstance(rig.player.messages[0], BotText)
    assert "AAAA" not in rig.player.messages[0].text
    assert rig.events() == [("play", {"audioDataType": "raw", "sampleRate": 8000})]
    (clip,) = rig.player.clips
    rig.say("mark", name="end")
    assert clip.rate == 8000
    assert rig.player.wants(clip)
    rig.player.write_clip(clip, bytes(320), now=0.0)
    rig.player.end_clip(clip, None, now=0.0)
    rig.frame()
    assert rig.told() == [("mark", {"name": "end", "event": "playout"})]
    assert rig.events()[0] == ("playback", {"event": "chunk_played", "seq": 1, "size": 320, "remaining": 0})


def test_a_clip_that_cannot_be_decoded_is_an_error() -> None:
    rig = Rig()
    rig.say("streamAudio", **CLIP)
    (clip,) = rig.player.clips
    rig.events()
    rig.player.end_clip(clip, "audioData: not mp3", now=0.0)
    error = {"status": "error", "message": {"code": 4, "error": "streamAudio: audioData: not mp3"}}
    assert rig.events() == [("error", error)]
    assert rig.told() == []  # see the next test
    rig.player.play_clip(Clip(ClipKind.MP3, None, "AAAA"), "{}", now=0.0)
    rig.events()
    rig.player.end_clip(rig.player.clips[1], "audioData: not mp3", now=0.0)
    assert rig.events()[0][1]["message"]["error"] == "play: audioData: not mp3"
    assert rig.told() == [], "it was not the bot's"


def test_a_clip_that_was_cleared_or_whose_call_is_over_is_not_wanted() -> None:
    rig = Rig()
    rig.say("streamAudio", **CLIP)
    rig.say("clear")
    rig.say("streamAudio", **CLIP)
    cleared, waiting = rig.player.clips
    assert not rig.player.wants(cleared)
    assert rig.player.wants(waiting)
    rig.player.closed = True
    assert not rig.player.wants(waiting)
    rig.player.write_clip(waiting, bytes(320), now=0.0)
    rig.player.end_clip(waiting, None, now=0.0)
    assert rig.bridge.playback.buffer(0).queued_bytes == 0


def test_pieces_of_a_raw_sound_may_be_cut_anywhere() -> None:
    rig = Rig()
    for _ in range(2):
        rig.say("streamAudio", **CLIP)
    first, second = rig.player.clips
    assert [first.whole_samples(data) for data in (b"abc", b"d", b"", b"e")] == [b"ab", b"cd", b"", b""]
    assert second.whole_samples(b"fgh") == b"efgh"
    rig.say("clear")
    rig.say("streamAudio", **CLIP)
    second.whole_samples(b"i")
    assert rig.player.clips[-1].whole_samples(b"kl") == b"kl", "what was cleared is not gone on with"


def test_what_a_lost_bot_said_is_played_and_not_gone_on_with() -> None:
    rig = Rig()
    rig.player.play(bytes(640) + b"x", now=0.0)
    rig.say("streamAudio", **CLIP)
    rig.player.clips[0].whole_samples(b"x")
    rig.player.end_clip(rig.player.clips[0], None, now=0.0)
    rig.say("rawAudio", sampleRate=16000)
    rig.say("pause")
    rig.player.bot_lost(now=0.0)
    rig.player.play(b"ab" * 160, now=0.0)
    rig.say("streamAudio", **CLIP)
    assert rig.player.clips[-1].whole_samples(b"ab") == b"ab"
    assert rig.bridge.playback.buffer(0).queued_bytes == 960
    rig.frame()
    assert rig.bridge.playback.buffer(0).queued_bytes == 640
    assert rig.player.takes_frames, "the rate is that of the options"


def test_half_a_sample_of_a_lost_bot_is_forgotten() -> None:
    rig = Rig()
    rig.player.play(b"abc", now=0.0)
    rig.player.bot_lost(now=0.0)
    rig.player.play(b"de", now=0.0)
    assert rig.bridge.playback.buffer(0).queued_bytes == 4


def test_playback_that_is_off() -> None:
    rig = Rig(playback=False)
    assert not rig.player.takes_frames
    rig.player.play(bytes(640), now=0.0)
    rig.say("streamAudio", **CLIP)
    assert rig.player.clips == []
    assert rig.events() == [("play", {"audioDataType": "raw", "sampleRate": 8000})]
    assert rig.bridge.playback.buffer(0).queued_bytes == 0


@pytest.mark.parametrize(
    ("event", "body"),
    [
        (ChunkPlayed(1, 320, 640), {"event": "chunk_played", "seq": 1, "size": 320, "remaining": 640}),
        (QueueCompleted(2), {"event": "queue_completed", "total_chunks": 2}),
        (Underrun(40), {"event": "underrun", "gap_ms": 40}),
        (PlaybackRefused(500), {"event": "refused", "refused_ms": 500}),
        (Xoff(450), {"event": "xoff", "queued_ms": 450}),
        (Xon(300), {"event": "xon", "queued_ms": 300}),
    ],
)
def test_progress_is_told_to_who_has_asked(event: PlaybackEvent, body: dict[str, Any]) -> None:
    silent, rig = Rig(), Rig(events=frozenset({EventKind.PLAYBACK}))
    silent.player.tell(event)
    assert silent.told() == silent.events() == []
    rig.player.tell(event)
    assert rig.told() == rig.events() == [("playback", body)]


def test_what_is_for_control_goes_there() -> None:
    rig = Rig()
    rig.say("answer")
    rig.say("transfer", to="sip:a@b")
    rig.say("dtmf", digits="1")
    rig.say("hangup", after="now", cause=17)
    requests = [each for each in rig.player.messages if not isinstance(each, BotText)]
    assert requests == [
        AnswerAsked("one"),
        TransferAsked("one", "sip:a@b"),
        DigitsAsked("one", "1", 100),
        HangupAsked("one", False, 17),
    ]
    assert rig.told() == []


def test_a_hangup_lets_what_is_paused_be_heard() -> None:
    rig = Rig()
    rig.player.play(bytes(320), now=0.0)
    rig.say("pause")
    rig.say("hangup")
    for _ in range(3):
        rig.frame()
    assert rig.bridge.take_drained() == [0]


def test_all_is_told_that_was_queued_when_there_was_no_engine() -> None:
    rig = Rig()
    rig.player.drain(now=0.0)
    rig.frame()
    assert rig.bridge.take_drained() == [0]


def test_what_the_module_would_not_answer_is_answered_only_to_who_wants_to_know() -> None:
    for wants_to_know in (False, True):
        rig = Rig(events=frozenset({EventKind.PLAYBACK} if wants_to_know else ()))
        rig.say("streamAudio", audioDataType=5)
        rig.say("rawAudio", sampleRate=5)
        assert [each["message"]["error"].split(":")[0] for _, each in rig.events()] == ["streamAudio", "rawAudio"]
        answers = [(kind, told["ok"]) for kind, told in rig.told()]
        assert answers == ([("streamAudio", False), ("rawAudio", False)] if wants_to_know else [])


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("mark", "name"),
        ("hangup", "cause"),
        ("transfer", "to"),
        ("dtmf", "digits"),
    ],
)
def test_what_is_malformed_is_an_error_and_answered(kind: str, field: str) -> None:
    rig = Rig()
    rig.say(kind, name=5, digits=5, to=5, cause=[])
    (told,) = rig.told()
    assert told[0] == kind
    assert told[1]["ok"] is False
    assert told[1]["error"].startswith(f"{field}: ")
    message = {"code": 4, "error": f"{kind}: {told[1]['error']}"}
    assert rig.events() == [("error", {"status": "error", "message": message})]


@pytest.mark.parametrize("data", [None, [], 5, "x", {"name": 5}])
@pytest.mark.parametrize("kind", ["clear", "killAudio", "pause", "resume", "answer"])
def test_what_needs_no_data_is_obeyed_whatever_there_is(kind: str, data: Any) -> None:
    bare, rig = Rig(), Rig()
    bare.player.receive(json.dumps({"type": kind}), now=0.0)
    rig.player.receive(json.dumps({"type": kind, "data": data}), now=0.0)
    assert rig.told() == bare.told()
    assert rig.player.messages[1:] == bare.player.messages[1:]


def test_any_other_text_is_an_event_alone() -> None:
    rig = Rig()
    rig.player.receive("hello", now=0.0)
    assert rig.player.messages == [BotText("one", "hello")]


@pytest.mark.parametrize("has_engine", [False, True])
def test_half_a_sample_of_a_bot_that_is_lost_does_not_spoil_what_comes_after(has_engine: bool) -> None:
    rig = Rig()
    if has_engine:
        rig.say("mark", name="m")
        rig.say("pause")
    rig.player.play(bytes(640) + b"x", now=0.0)
    rig.player.bot_lost(now=0.0)
    rig.player.play(b"\x01\x00" * 320, now=0.0)
    rig.say("clear")
    assert rig.told()[-1][1]["dropped_ms"] == 80


@pytest.mark.parametrize("between", ["rawAudio", "streamAudio"])
@pytest.mark.parametrize("has_engine", [False, True])
def test_half_a_sample_does_not_spoil_what_comes_behind_another_kind_of_audio(between: str, has_engine: bool) -> None:
    rig = Rig()
    if has_engine:
        rig.say("mark", name="m")
    rig.player.play(bytes(320) + b"x", now=0.0)
    rig.say(between, **(CLIP if between == "streamAudio" else {"sampleRate": 8000}))
    for clip in rig.player.clips:
        rig.player.end_clip(clip, None, now=0.0)
    rig.player.play(b"\x00\x10" * 160, now=0.0)
    heard = [
        pcm for _ in range(4) for frames, _ in rig.bridge.playback.frames(np.array([0]), now=0.0) for pcm in frames.pcm
    ]
    assert set(np.concatenate(heard).tolist()) == {0, 4096}


def test_texts_beyond_what_a_bot_may_say_are_counted_and_told_of_once() -> None:
    rig = Rig()
    big = "x" * (HEARD_AT_ONCE // 2)
    for _ in range(4):
        rig.player.receive(big, now=0.0)
    rig.say("mark", name="m")
    assert rig.player.heard_texts.refused == 3
    assert [body["message"]["error"] for _, body in rig.events()] == [
        f"texts: more than {TOLD_A_SECOND} characters a second; what is more is not told of",
        f"texts: more than {HEARD_A_SECOND} characters a second; what is more is not obeyed",
    ]
    assert rig.told() == []
    rig.player.receive('{"type":"mark","data":{"name":"m"}}', now=1.0)
    assert rig.told() == [("mark", {"name": "m", "event": "playout"})]


def test_a_text_that_is_too_long_to_be_told_is_obeyed_all_the_same() -> None:
    rig = Rig()
    rig.say("streamAudio", **CLIP, more="x" * TOLD_AT_ONCE)
    rig.say("streamAudio", **CLIP)
    assert len(rig.player.clips) == 2
    assert [each.text for each in rig.player.messages if isinstance(each, BotText)] == [
        '{"type":"streamAudio","data":{"audioDataType":"raw","sampleRate":8000}}'
    ]
    assert [kind for kind, _ in rig.events()] == ["error", "play"]
    assert rig.player.told_texts.refused == 1


def test_audio_in_texts_is_not_what_is_told() -> None:
    rig = Rig()
    rig.say("streamAudio", **{**CLIP, "audioData": "A" * 2 * TOLD_AT_ONCE})
    assert rig.player.told_texts.refused == 0
    assert [kind for kind, _ in rig.events()] == ["play"]
