"""A WebSocket to a bot, against the server of the `websockets` library, which is Sans-I/O as well."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from sidecar.core import bot_connection
from sidecar.core.bot_connection import BotConnection, Closed, ConnectionEvent, Failed, Opened, TextReceived
from sidecar.core.errors import ErrorCode


@dataclass
class Pair:
    """A connection and the bot it connects to; nothing is in between."""

    url: str = "ws://bot.example/ws"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connection = BotConnection(self.url, headers=self.headers)
        self.bot = ServerProtocol(max_size=None)
        self.connection.connect()
        for data in self.connection.data_to_send():
            self.bot.receive_data(data)
        request = self.bot.events_received()[0]
        assert isinstance(request, Request)
        self.request = request

    def to_bot(self) -> list[Frame]:
        """Let the bot read what the connection has written."""
        for data in self.connection.data_to_send():
            self.bot.receive_data(data)
        return [event for event in self.bot.events_received() if isinstance(event, Frame)]

    def from_bot(self) -> bytes:
        """Return what the bot has written."""
        return b"".join(self.bot.data_to_send())

    def answer(self) -> bytes:
        """Let the bot accept the handshake; return its response."""
        self.bot.send_response(self.bot.accept(self.request))
        return self.from_bot()

    def opened(self) -> Pair:
        """Finish the handshake."""
        self.connection.receive_data(self.answer())
        assert self.connection.take_events() == [Opened()]
        return self

    def receive(self, data: bytes) -> tuple[bytes, list[ConnectionEvent]]:
        """Let the connection read `data`; return the audio and the events in it."""
        self.connection.receive_data(data)
        return b"".join(self.connection.take_audio()), self.connection.take_events()


def frame(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = False) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


# --- the handshake


def test_the_handshake_opens_the_connection() -> None:
    pair = Pair()
    connection = pair.connection
    assert (connection.uri.host, connection.uri.port, connection.secure) == ("bot.example", 80, False)
    assert not connection.is_open
    assert pair.receive(pair.answer()) == (b"", [Opened()])
    assert connection.is_open
    assert not connection.is_over
    assert pair.bot.state is State.OPEN


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://bot.example", ("bot.example", 443, True)),
        ("WS://Bot.Example:8080/a?b=c", ("bot.example", 8080, False)),
        ("ws://[2001:db8::7]:99/", ("2001:db8::7", 99, False)),
        ("ws://user:secret@bot.example", ("bot.example", 80, False)),
    ],
)
def test_a_url_says_where_to_connect_to(url: str, expected: tuple[str, int, bool]) -> None:
    connection = BotConnection(url, headers={})
    assert (connection.uri.host, connection.uri.port, connection.secure) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://bot.example",
        "ws://",
        "ws://bot.example:port",
        "ws://bot.example:65536",
        "ws://[::1",
        "ws://bot.example/#here",
        "ws://user@bot.example",
        "ws://us%3Aer:secret@bot.example",
        "ws://%ff:secret@bot.example",
        "ws://ä..b/",
        "ws://a..b/",
        f"ws://{'a' * 64}.example/",
    ],
)
def test_a_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        BotConnection(url, headers={})
    assert "secret" not in str(caught.value)


def test_the_request_has_the_path_and_the_extra_headers() -> None:
    pair = Pair("ws://bot.example:81/a%20b?c=d&e", {"X-One": "1", "x-two": "ü, 2"})
    assert pair.request.path == "/a%20b?c=d&e"
    assert pair.request.headers["Host"] == "bot.example:81"
    assert pair.request.headers["X-One"] == "1"
    assert pair.request.headers["X-Two"] == "ü, 2"
    assert "Sec-WebSocket-Extensions" not in pair.request.headers


def test_the_user_of_the_url_is_authorized() -> None:
    pair = Pair("ws://us%40er:p%3Aw@bot.example")
    assert pair.request.headers["Authorization"] == "Basic dXNAZXI6cDp3"
    assert pair.request.path == "/"


def test_an_extra_header_stands_for_one_of_ours_and_not_beside_it() -> None:
    pair = Pair("ws://user:secret@bot.example", {"authorization": "Bearer token"})
    assert pair.request.headers.get_all("Authorization") == ["Bearer token"]


def test_the_first_frames_may_come_with_the_response() -> None:
    pair = Pair()
    response = pair.answer()
    pair.bot.send_binary(b"ab")
    pair.bot.send_text(b"hello")
    pair.bot.send_binary(b"cd")
    audio, events = pair.receive(response + pair.from_bot())
    assert audio == b"abcd"
    assert events == [Opened(), TextReceived("hello")]


REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("body", [b"", b"not ", b"not today", b"not today\r\n\r\nand more"])
def test_a_refusal_is_told_at_once_with_its_status(body: bytes) -> None:
    pair = Pair()
    _, events = pair.receive(REFUSED + body)
    assert events == [Failed(ErrorCode.CONNECT_FAILED, "the bot refused: HTTP 403")]
    assert pair.connection.is_over
    assert not pair.connection.is_open
    assert pair.receive(b"more\r\n\r\n" + REFUSED) == (b"", [])
    pair.connection.receive_eof()
    pair.connection.receive_eof()
    assert pair.connection.take_events() == []


@pytest.mark.parametrize("status", ["200 OK", "500 Oops", "503 Busy", "100 Continue"])
def test_no_other_status_opens_the_connection(status: str) -> None:
    pair = Pair()
    _, events = pair.receive(f"HTTP/1.1 {status}\r\n\r\n".encode())
    assert events == [Failed(ErrorCode.CONNECT_FAILED, f"the bot refused: HTTP {status[:3]}")]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x"),
        (b"Sec-WebSocket-Accept: ", b"X-Accept: "),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"Connection: Upgrade", b"Connection: close"),
        (b"HTTP/1.1 101", b"HTTP/1.1 1O1"),
        (b"HTTP/1.1 101", b"ICY 101"),
    ],
)
def test_a_wrong_handshake_is_no_connection(wrong: bytes, right: bytes) -> None:
    pair = Pair()
    response = pair.answer()
    assert wrong in response
    _, events = pair.receive(response.replace(wrong, right) + frame(Opcode.BINARY, b"audio"))
    assert isinstance(events[0], Failed)
    assert events[0].code is ErrorCode.INVALID_HEADER
    assert events[0].error.startswith("the bot's handshake is wrong: ")
    assert len(events) == 1
    assert pair.connection.is_over
    assert not pair.connection.is_open


def test_an_endless_response_is_no_connection() -> None:
    pair = Pair()
    events: list[ConnectionEvent] = []
    for _ in range(80):
        events += pair.receive(b"x" * 1024)[1]
    assert events == [Failed(ErrorCode.INVALID_HEADER, "endless HTTP response")]
    assert pair.connection.is_over


def test_a_bot_that_hangs_up_in_the_handshake_is_told_once() -> None:
    pair = Pair()
    pair.receive(pair.answer()[:30])
    pair.connection.receive_eof()
    pair.connection.fail(ErrorCode.TIMEOUT, "too late")
    assert pair.connection.take_events() == [Failed(ErrorCode.IO, "connection lost")]


# --- what comes in


def test_binary_messages_are_audio() -> None:
    pair = Pair().opened()
    for size in (1, 125, 126, 65535, 65536):
        data = bytes(itertools.islice(itertools.cycle(range(251)), size))
        pair.bot.send_binary(data)
        assert pair.receive(pair.from_bot()) == (data, [])


def test_text_messages_are_events() -> None:
    pair = Pair().opened()
    for text in ("", '{"type": "clear"}', "ü\N{PILE OF POO}" * 50_000):
        pair.bot.send_text(text.encode())
        assert pair.receive(pair.from_bot()) == (b"", [TextReceived(text)])


def test_a_connection_is_plain_between_messages_and_at_no_other_time() -> None:
    pair, audio = Pair(), frame(Opcode.BINARY, bytes(320))
    plain = [pair.connection.is_plain]
    pair.opened()
    parts = (b"", audio[:1], audio[1:100], audio[100:], frame(Opcode.BINARY, bytes(2), fin=False))
    for part in (*parts, frame(Opcode.CONT, bytes(2)), frame(Opcode.CLOSE, b"")):
        pair.receive(part)
        plain.append(pair.connection.is_plain)
    assert plain == [False, True, False, False, True, False, True, False]


def test_messages_in_fragments_are_put_together() -> None:
    pair = Pair().opened()
    data = b"".join(
        [
            frame(Opcode.TEXT, "ü".encode()[:1], fin=False),
            frame(Opcode.PING, b"are you there"),
            frame(Opcode.CONT, "ü".encode()[1:], fin=False),
            frame(Opcode.CONT, b"", fin=True),
            frame(Opcode.BINARY, b"ab", fin=False),
            frame(Opcode.CONT, b"cd", fin=False),
            frame(Opcode.CONT, b"ef"),
            frame(Opcode.BINARY, b"gh"),
            frame(Opcode.TEXT, b"end"),
        ]
    )
    assert pair.receive(data) == (b"abcdefgh", [TextReceived("ü"), TextReceived("end")])
    assert [(each.opcode, each.data) for each in pair.to_bot()] == [(Opcode.PONG, b"are you there")]


def test_messages_without_content_are_no_end() -> None:
    pair = Pair().opened()
    data = b"".join(frame(Opcode.BINARY, each) for each in (b"", b"ab", b"", b"", b"cd", b""))
    assert pair.receive(data + frame(Opcode.TEXT, b"")) == (b"abcd", [TextReceived("")])
    assert pair.receive(frame(Opcode.BINARY, b"ef")) == (b"ef", [])


def test_audio_is_passed_on_before_its_frame_is_complete() -> None:
    pair = Pair().opened()
    data = frame(Opcode.BINARY, bytes(range(200)))
    assert pair.receive(data[:3]) == (b"", [])
    assert pair.receive(data[3:104]) == (bytes(range(100)), [])
    assert pair.receive(data[104:] + frame(Opcode.TEXT, b"x")) == (bytes(range(100, 200)), [TextReceived("x")])


def test_a_ping_is_answered_and_a_pong_is_not() -> None:
    pair = Pair().opened()
    assert list(pair.connection.data_to_send()) == []
    assert not pair.connection.has_data_to_send
    assert pair.receive(frame(Opcode.PING, b"1") + frame(Opcode.PONG, b"2")) == (b"", [])
    assert pair.connection.has_data_to_send
    assert pair.to_bot() == [Frame(Opcode.PONG, b"1")]
    pair.receive(frame(Opcode.BINARY, b"audio"))
    assert not pair.connection.has_data_to_send


# --- what goes out


def test_text_is_sent_as_it_is() -> None:
    pair = Pair().opened()
    pair.connection.send_text("first ü")
    assert pair.connection.has_data_to_send
    pair.connection.send_text("")
    assert pair.to_bot() == [Frame(Opcode.TEXT, "first ü".encode()), Frame(Opcode.TEXT, b"")]


def test_each_piece_to_send_is_a_whole_frame() -> None:
    """The outbox never drops a part of one."""
    pair = Pair().opened()
    pair.connection.send_text("one")
    pair.connection.send_text("two")
    for piece in pair.connection.data_to_send():
        pair.bot.receive_data(piece)
        assert len(pair.bot.events_received()) == 1


# --- the end


def test_the_bot_may_close() -> None:
    pair = Pair().opened()
    pair.bot.send_binary(b"last words")
    pair.bot.send_close(CloseCode.NORMAL_CLOSURE, "done")
    assert pair.receive(pair.from_bot() + b"more") == (b"last words", [Closed(1000, "done")])
    assert pair.connection.is_over
    pair.to_bot()
    pair.bot.receive_eof()
    assert isinstance(pair.bot.close_exc, ConnectionClosed)
    assert pair.bot.close_exc.rcvd == pair.bot.close_exc.sent
    pair.connection.receive_eof()
    assert pair.connection.take_events() == []


def test_the_bot_may_close_without_a_code() -> None:
    pair = Pair().opened()
    pair.bot.send_close()
    assert pair.receive(pair.from_bot()) == (b"", [Closed(1005, "")])


def test_we_may_close_and_still_hear_what_was_on_its_way() -> None:
    pair = Pair().opened()
    pair.connection.close(1000, "the call is over")
    pair.connection.close(1001, "again")
    assert not pair.connection.is_open
    assert not pair.connection.is_over
    assert pair.receive(frame(Opcode.BINARY, b"crossed")) == (b"crossed", [])
    assert [each.opcode for each in pair.to_bot()] == [Opcode.CLOSE]
    assert pair.receive(pair.from_bot()) == (b"", [Closed(1000, "the call is over")])
    assert pair.connection.is_over


@pytest.mark.parametrize("reason", ["x" * 124, "ü" * 62, "x" * 5000])
def test_a_long_reason_is_cut_short(reason: str) -> None:
    """A close frame holds 123 bytes of it (RFC 6455, section 5.5)."""
    pair = Pair().opened()
    pair.connection.close(1001, reason)
    pair.to_bot()
    assert pair.bot.close_rcvd is not None
    assert pair.bot.close_rcvd.code == 1001
    assert reason.startswith(pair.bot.close_rcvd.reason)
    assert len(pair.bot.close_rcvd.reason.encode()) in (122, 123)


def test_before_the_handshake_there_is_nothing_to_close() -> None:
    pair = Pair()
    pair.connection.close(1000, "")
    assert list(pair.connection.data_to_send()) == []


def test_a_connection_that_is_lost_is_told() -> None:
    pair = Pair().opened()
    assert pair.receive(frame(Opcode.BINARY, bytes(100))[:50])[1] == []
    pair.connection.receive_eof()
    pair.connection.receive_eof()
    events = pair.connection.take_events()
    assert [each.code for each in events if isinstance(each, Failed)] == [ErrorCode.IO]
    assert pair.connection.is_over


def test_a_connection_lost_in_the_middle_of_text_is_lost_as_well() -> None:
    pair = Pair().opened()
    pair.receive(frame(Opcode.TEXT, bytes(100))[:50])
    pair.connection.receive_eof()
    assert [each.code for each in pair.connection.take_events() if isinstance(each, Failed)] == [ErrorCode.IO]


def test_a_failure_of_the_socket_is_told_once() -> None:
    pair = Pair().opened()
    pair.connection.fail(ErrorCode.SSL_ERROR, "certificate expired")
    pair.connection.fail(ErrorCode.IO, "connection lost")
    pair.connection.receive_eof()
    assert pair.connection.take_events() == [Failed(ErrorCode.SSL_ERROR, "certificate expired")]
    assert pair.receive(frame(Opcode.TEXT, b"too late") + frame(Opcode.BINARY, b"too late")) == (b"", [])


# --- what goes out before the handshake, and what is agreed in it


@pytest.mark.parametrize("headers", [{}, {"authorization": "of the headers"}])
def test_an_authorization_goes_before_all_others(headers: dict[str, str]) -> None:
    connection = BotConnection("ws://user:secret@bot.example", headers=headers)
    connection.connect(authorization="Bearer x")
    request = b"".join(connection.data_to_send()).decode()
    assert request.lower().count("authorization:") == 1
    assert "\r\nAuthorization: Bearer x\r\n" in request


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "308 Gone over there"])
def test_a_redirect_is_not_followed(status: str) -> None:
    pair = Pair()
    _, events = pair.receive(f"HTTP/1.1 {status}\r\nLocation: ws://evil.example/\r\n\r\n".encode())
    why = f"the bot redirects, which is not followed: HTTP {status[:3]}"
    assert events == [Failed(ErrorCode.NOT_SUPPORTED, why)]


@pytest.mark.parametrize("header", ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat"])
def test_what_was_not_offered_is_not_supported(header: str) -> None:
    pair = Pair()
    response = pair.answer().replace(b"\r\n\r\n", f"\r\n{header}\r\n\r\n".encode())
    _, (event,) = pair.receive(response + frame(Opcode.BINARY, b"audio"))
    assert isinstance(event, Failed)
    assert event.code is ErrorCode.NOT_SUPPORTED


@pytest.mark.parametrize("kind", ["masked text", "masked audio", "much masked audio"])
def test_a_bot_that_masks_is_told_apart(kind: str) -> None:
    pair = Pair().opened()
    _, (event,) = pair.receive(BREACHES[kind])
    assert isinstance(event, Failed)
    assert event.code is ErrorCode.SERVER_MASKED


def deflating_pair() -> tuple[BotConnection, ServerProtocol]:
    """Return a connection and its bot, which have agreed to compress."""
    connection = BotConnection("ws://bot.example", headers={}, deflate=True)
    bot = ServerProtocol(max_size=None, extensions=[ServerPerMessageDeflateFactory()])
    connection.connect()
    bot.receive_data(b"".join(connection.data_to_send()))
    (request,) = bot.events_received()
    assert isinstance(request, Request)
    assert not connection.deflates
    bot.send_response(bot.accept(request))
    connection.receive_data(b"".join(bot.data_to_send()))
    assert connection.take_events() == [Opened()]
    assert connection.deflates
    list(connection.data_to_send())
    return connection, bot


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=8))
def test_a_compressed_message_needs_none_that_was_dropped(messages: list[tuple[bytes, bool]]) -> None:
    connection, bot = deflating_pair()
    expected = []
    for data, dropped in [(b"the same " * 30, True), (b"the same " * 30, False), *messages]:
        deflated = connection.deflated(frame(Opcode.BINARY, data, mask=True))
        assert len(deflated) < 100 or len(data) < 210
        if not dropped:
            bot.receive_data(deflated)
            expected.append(data)
    frames = [event for event in bot.events_received() if isinstance(event, Frame)]
    assert [bytes(each.data) for each in frames] == expected
    assert bot.parser_exc is None


def test_a_compressed_message_of_the_bot_is_audio_too() -> None:
    connection, bot = deflating_pair()
    bot.send_binary(b"la" * 500)
    bot.send_text(b"hello " * 50)
    data = b"".join(bot.data_to_send())
    assert len(data) < 100
    for at in range(len(data)):
        connection.receive_data(data[at : at + 1])
    assert b"".join(connection.take_audio()) == b"la" * 500
    assert connection.take_events() == [TextReceived("hello " * 50)]


def test_a_decompression_bomb_ends_the_connection() -> None:
    connection, bot = deflating_pair()
    bot.send_binary(bytes(64 << 20))
    data = b"".join(bot.data_to_send())
    assert len(data) < 1 << 20
    connection.receive_data(data)
    (event,) = connection.take_events()
    assert isinstance(event, Failed)
    assert event.code is ErrorCode.PROTOCOL
    assert sum(map(len, connection.take_audio())) <= 4 << 20


def test_many_small_bombs_in_one_read_end_the_connection() -> None:
    connection, bot = deflating_pair()
    for _ in range(40):
        bot.send_binary(bytes(1 << 20))
    connection.receive_data(b"".join(bot.data_to_send()))
    assert connection.take_events() == [Failed(ErrorCode.PROTOCOL, "the bot sends more than it seems")]
    assert sum(map(len, connection.take_audio())) <= 4 << 20


def test_much_audio_that_comes_compressed_bit_by_bit_is_heard() -> None:
    connection, bot = deflating_pair()
    for _ in range(40):
        bot.send_binary(bytes(1 << 20))
        connection.receive_data(b"".join(bot.data_to_send()))
    assert connection.take_events() == []
    assert sum(map(len, connection.take_audio())) == 40 << 20


# --- what a bot must not do


BREACHES = {
    "masked text": frame(Opcode.TEXT, b"masked", mask=True),
    "masked audio": frame(Opcode.BINARY, b"masked", mask=True),
    "much masked audio": frame(Opcode.BINARY, bytes(200), mask=True),
    "compressed, which was not agreed": b"\xc2\x02ab",
    "unknown opcode of data": b"\x83\x00",
    "unknown opcode of control": b"\x8b\x00",
    "continuation of nothing": frame(Opcode.CONT, b"of nothing"),
    "audio within audio": frame(Opcode.BINARY, b"a", fin=False) + frame(Opcode.BINARY, b"b"),
    "text within audio": frame(Opcode.BINARY, b"a", fin=False) + frame(Opcode.TEXT, b"b"),
    "audio within audio, behind a ping": b"".join(
        [frame(Opcode.BINARY, b"a", fin=False), frame(Opcode.PING, b""), frame(Opcode.BINARY, b"b")]
    ),
    "control too long": b"\x89\x7e\x00\x80" + bytes(128),
    "control in fragments": b"\x09\x00",
    "half a close code": b"\x88\x01\x03",
    "a close code that is never sent": b"\x88\x02\x03\xed",
    "endless text": b"\x81\x7f" + b"\xff" * 8,
}


@pytest.mark.parametrize("data", BREACHES.values(), ids=BREACHES)
def test_a_breach_of_the_protocol_ends_the_connection(data: bytes) -> None:
    pair = Pair().opened()
    audio, events = pair.receive(data + frame(Opcode.TEXT, b"more"))
    assert audio in (b"", b"a")
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert events[0].code in (ErrorCode.PROTOCOL, ErrorCode.SERVER_MASKED)
    assert pair.connection.is_over
    pair.to_bot()
    assert pair.bot.close_rcvd is not None
    assert pair.bot.close_rcvd.code in (CloseCode.PROTOCOL_ERROR, CloseCode.MESSAGE_TOO_BIG)


def test_text_beyond_the_bound_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_connection, "MAX_TEXT_BYTES", 1000)
    for data in (
        frame(Opcode.TEXT, bytes(1001)),
        frame(Opcode.TEXT, bytes(999), fin=False) + frame(Opcode.CONT, b"ab"),
    ):
        pair = Pair().opened()
        assert pair.receive(frame(Opcode.TEXT, bytes(1000))) == (b"", [TextReceived("\0" * 1000)])
        _, events = pair.receive(data)
        assert [each.code for each in events if isinstance(each, Failed)] == [ErrorCode.PROTOCOL]
        pair.to_bot()
        assert pair.bot.close_rcvd is not None
        assert pair.bot.close_rcvd.code == CloseCode.MESSAGE_TOO_BIG


def test_text_that_is_not_utf_8_ends_the_connection() -> None:
    pair = Pair().opened()
    _, events = pair.receive(frame(Opcode.TEXT, b"\xff") + frame(Opcode.TEXT, b"more"))
    assert events == [Failed(ErrorCode.PROTOCOL, "text is not UTF-8")]
    pair.to_bot()
    assert pair.bot.close_rcvd is not None
    assert pair.bot.close_rcvd.code == CloseCode.INVALID_DATA


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_garbage_never_raises(data: bytes, cuts: list[int]) -> None:
    for pair in (Pair(), Pair().opened()):
        for piece in pieces(data, cuts):
            pair.receive(piece)
        pair.connection.receive_eof()
        assert pair.connection.is_over
        ends = [event for event in pair.connection.take_events() if isinstance(event, Closed | Failed)]
        assert len(ends) <= 1


# --- any pieces


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut `data` at some places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places) if start < end]


frames = st.one_of(
    st.binary(max_size=300).map(lambda data: frame(Opcode.BINARY, data)),
    st.text(max_size=100).map(lambda text: frame(Opcode.TEXT, text.encode())),
    st.binary(max_size=20).map(lambda data: frame(Opcode.PING, data)),
    st.lists(st.binary(max_size=20), max_size=3).map(
        lambda parts: b"".join(
            [frame(Opcode.BINARY, b"<", fin=False)]
            + [frame(Opcode.CONT, part, fin=False) for part in parts]
            + [frame(Opcode.CONT, b">")]
        )
    ),
    st.lists(st.sampled_from(["a", "ü"]), max_size=3).map(
        lambda parts: b"".join(
            [frame(Opcode.TEXT, b"<", fin=False)]
            + [frame(Opcode.CONT, part.encode(), fin=False) for part in parts]
            + [frame(Opcode.CONT, b">")]
        )
    ),
    st.sampled_from([b"", b"", frame(Opcode.TEXT, b"\xff"), b"\xff", frame(Opcode.CLOSE, b"\x03\xe8bye")]),
)


def received(pair: Pair, parts: list[bytes]) -> tuple[bytes, list[ConnectionEvent], list[Frame]]:
    audio, events = b"", []
    for part in parts:
        more_audio, more_events = pair.receive(part)
        audio += more_audio
        events += more_events
    return audio, events, pair.to_bot()


Accepted = Callable[[Pair], bytes]


def accepted(pair: Pair) -> bytes:
    return pair.answer()


def refused(_: Pair) -> bytes:
    return REFUSED + b"not today"


def wrong(pair: Pair) -> bytes:
    return pair.answer().replace(b"Sec-WebSocket-Accept: ", b"X-Accept: ")


@given(st.sampled_from([accepted, refused, wrong]), st.lists(frames, max_size=8), st.lists(st.integers(0), max_size=12))
def test_pieces_of_any_size_mean_the_same(respond: Accepted, sent: list[bytes], cuts: list[int]) -> None:
    """In one piece, cut anywhere, and byte by byte: the handshake, the audio, the events and the answers."""
    whole, cut, bytewise = Pair(), Pair(), Pair()
    data = b"".join(sent)
    expected = received(whole, [respond(whole) + data])
    assert received(cut, pieces(respond(cut) + data, cuts)) == expected
    assert received(bytewise, [bytes([byte]) for byte in respond(bytewise) + data]) == expected


def test_audio_in_frames_of_twenty_milliseconds_may_come_by_the_hundred() -> None:
    pair = Pair().opened()
    audio, events = pair.receive(frame(Opcode.BINARY, bytes(320)) * 400)
    assert (len(audio), events) == (400 * 320, [])


@pytest.mark.parametrize(
    "piece",
    [
        frame(Opcode.BINARY, b""),
        frame(Opcode.BINARY, b"x"),
        frame(Opcode.PING, b""),
        frame(Opcode.PONG, b""),
        frame(Opcode.TEXT, b"{}"),
        frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.CONT, b"", fin=False) * 2000,
    ],
    ids=["empty audio", "one byte", "ping", "pong", "text", "fragments"],
)
def test_a_bot_that_talks_in_pieces_of_nothing_is_told_off(piece: bytes) -> None:
    pair = Pair().opened()
    _, events = pair.receive(piece * max(1, 8_192 // len(piece)))
    assert events[-1] == Failed(ErrorCode.PROTOCOL, "the bot sends too many small messages")
    closing = pair.to_bot()[-1]
    assert closing.opcode is Opcode.CLOSE
    assert closing.data[:2] == (1008).to_bytes(2)


def test_text_is_not_sent_where_there_is_nobody_to_send_it_to() -> None:
    pair = Pair()
    pair.connection.send_text("early")
    pair.connection.receive_data(pair.answer() + frame(Opcode.CLOSE, b"\x03\xe8"))
    assert pair.connection.take_events() == [Opened(), Closed(1000, "")]
    pair.connection.send_text("late")
    assert [each.opcode for each in pair.to_bot()] == [Opcode.CLOSE]


def test_a_bot_is_asked_for_a_sign_of_life_where_there_is_one() -> None:
    pair = Pair()
    pair.connection.ping()
    assert not pair.connection.has_data_to_send
    pair.opened().connection.ping()
    assert [each.opcode for each in pair.to_bot()] == [Opcode.PING]
    assert pair.receive(pair.from_bot()) == (b"", [])


@pytest.mark.parametrize(
    ("end", "closes"),
    [
        (lambda connection: connection.refuse("too much"), True),
        (lambda connection: connection.receive_data(frame(Opcode.CLOSE, b"\x03\xe8")), True),
        (lambda connection: connection.receive_data(b"\x83\x01x"), True),
        (lambda connection: connection.receive_eof(), False),
        (lambda connection: connection.fail(ErrorCode.PING_TIMEOUT, "no answer"), False),
    ],
)
def test_what_is_told_in_a_close_frame_and_what_is_not(end: Callable[[BotConnection], None], closes: bool) -> None:
    connection = Pair().opened().connection
    assert not connection.has_closed
    end(connection)
    assert connection.is_over
    assert connection.has_closed is closes
