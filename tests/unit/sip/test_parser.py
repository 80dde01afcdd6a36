from __future__ import annotations

import contextlib

import pytest
import sipmessage
from hypothesis import given
from hypothesis import strategies as st

from sip import CSeq, Headers, Request, Response, SipError, parse_message
from sip.error import MessageTooLarge, VersionNotSupported
from sip.parser import MAX_HEADERS, MAX_LINE, MAX_MESSAGE
from tests.support.sip_messages import OFFER, request

MANDATORY = {
    "Via": "SIP/2.0/UDP h;branch=z9hG4bK1",
    "From": "<sip:a@h>;tag=1",
    "To": "<sip:b@h>",
    "Call-ID": "x@h",
    "CSeq": "1 INVITE",
}
VALUES = st.text(st.characters(exclude_characters="\r\n\x00", codec="utf-8")).map(lambda text: text.strip(" \t"))
HEADERS = st.lists(st.tuples(st.sampled_from(["X-A", "x-a", "Subject", "P-B"]), VALUES), max_size=6).map(
    lambda items: Headers((*MANDATORY.items(), *items))
)


@given(HEADERS, st.binary(max_size=200))
def test_a_request_is_what_it_writes(headers: Headers, body: bytes) -> None:
    message = Request("INVITE", "sip:b@h", headers, body)
    assert parse_message(bytes(message)) == message


@given(HEADERS, st.binary(max_size=200), st.integers(100, 699))
def test_a_response_is_what_it_writes(headers: Headers, body: bytes, status: int) -> None:
    message = Response(status, "Some Reason", headers, body)
    assert parse_message(bytes(message)) == message


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 40))
def test_parse_raises_nothing_but_sip_error(junk: bytes, at: int, cut: int) -> None:
    good = request(body=OFFER)
    for data in (junk, good[:at] + junk + good[at + cut :], good[:at]):
        with contextlib.suppress(SipError):
            message = parse_message(data)
            _ = (message.via, message.vias, message.from_, message.to, message.cseq, message.call_id)


def test_a_message_written_in_every_odd_way_is_understood() -> None:
    message = parse_message(
        b"\r\n\r\nINVITE sip:b@h SIP/2.0\r\n"
        b"v: SIP/2.0/UDP first_hop;branch=z9hG4bK1 ,\r\n SIP/2.0/UDP second ;branch=z9hG4bK2\r\n"
        b"VIA: SIP/2.0/TCP third\r\n"
        b"t : sip:b@h;tag=9\r\n"
        b'From:"M\xfcller"<sip:a@h> ; x=y; tag=1\r\n'
        b"i:x\r\n"
        b"cseq:\t0001\r\n\t INVITE\r\n"
        b"m: <sip:a@h>, <sip:c@h>\r\n"
        b"l: 3\r\n\r\nabcdef"
    )
    assert isinstance(message, Request)
    assert [via.host for via in message.vias] == ["first_hop", "second", "third"]
    assert message.via.branch == "z9hG4bK1"
    assert (message.from_.tag, message.to.tag, message.call_id) == ("1", "9", "x")
    assert message.cseq == CSeq(1, "INVITE")
    assert message.contact is not None
    assert message.contact.uri == "sip:a@h"
    assert message.body == b"abc"
    assert b'"M\xfcller"' in bytes(message)


def test_bare_line_feeds_end_lines_too() -> None:
    assert parse_message(request(body=b"x").replace(b"\r\n", b"\n")).body == b"x"


def test_without_content_length_the_body_ends_with_the_datagram() -> None:
    assert parse_message(request(body=OFFER).replace(b"Content-Length", b"X-Length")).body == OFFER


@pytest.mark.parametrize("name", MANDATORY)
def test_a_mandatory_header_must_be_there_once_and_readable(name: str) -> None:
    for headers in (
        [item for item in MANDATORY.items() if item[0] != name],
        [(key, "<" if key == name else value) for key, value in MANDATORY.items()] if name != "Call-ID" else [],
        [*MANDATORY.items(), (name, MANDATORY[name])] if name != "Via" else [],
    ):
        with pytest.raises(SipError, match=name if headers else "Missing") as caught:
            parse_message(bytes(Request("INVITE", "sip:b@h", Headers(tuple(headers)))))
        assert caught.value.request is not None


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b"Content-Length: -1", "Content-Length"),
        (b"Content-Length: 1x", "Content-Length"),
        (b"Content-Length: 99", "Shorter"),
        (b"Content-Length: 0\r\nl: 0", "Repeated"),
        (b"Content-Length: 0\r\nMax-Forwards: 1\r\nMax-Forwards: 1", "Repeated"),
        (b"Content-Length: 0\r\nno colon here", "malformed"),
        (b"Content-Length: 0\r\nBad Name: x", "malformed"),
        (b"Content-Length: 0\r\nX: a\rb", "line break"),
        (b"Content-Length: -1\r\nX: a\x00b", "line break"),
    ],
)
def test_a_confusing_message_is_refused_with_the_reason(line: bytes, detail: str) -> None:
    with pytest.raises(SipError, match=detail) as caught:
        parse_message(request().replace(b"Content-Length: 0", line))
    assert caught.value.sip_status == 400
    assert caught.value.request is not None


def test_limits_hold() -> None:
    many = tuple(f"X-{n}: 1" for n in range(MAX_HEADERS))
    for data in (b"x" * (MAX_MESSAGE + 1), request(headers=many), request(headers=("X: " + "y" * MAX_LINE,))):
        with pytest.raises(MessageTooLarge):
            parse_message(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello\r\n\r\n", b"SIP/2.0 99 Low\r\n\r\n", b"INVITE  SIP/2.0\r\n\r\n"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(SipError) as caught:
        parse_message(data)
    assert caught.value.request is None


def test_a_malformed_response_is_refused() -> None:
    for headers in (b"", b"X\r\n"):
        with pytest.raises(SipError):
            parse_message(b"SIP/2.0 200 OK\r\n" + headers + b"\r\n")


def test_another_version_and_another_method_in_cseq_are_refused() -> None:
    with pytest.raises(VersionNotSupported):
        parse_message(request(version="3.0"))
    with pytest.raises(SipError, match="CSeq"):
        parse_message(request().replace(b"1 INVITE", b"1 BYE"))


def test_another_parser_reads_what_we_write() -> None:
    ours = parse_message(request(body=OFFER))
    theirs = sipmessage.Message.parse(bytes(ours))
    assert str(theirs.via[0]) == str(ours.via)
    assert theirs.cseq.method == "INVITE"
    assert theirs.body == OFFER


def test_headers_refuse_what_would_be_more_than_one_header() -> None:
    for item in (("X", "a\r\nEvil: yes"), ("X Y", "a"), ("", "a")):
        with pytest.raises(SipError):
            Headers((item,))


def test_headers_keep_order_and_repeats() -> None:
    headers = Headers((("Route", "<sip:a>, <sip:b>"), ("X", "1"), ("route", "<sip:c>")))
    assert headers.get_list("ROUTE") == ("<sip:a>", "<sip:b>", "<sip:c>")
    assert list(headers.remove("route")) == [("X", "1")]
    assert str(headers.add([("Y", "")])).endswith("X: 1\r\nroute: <sip:c>\r\nY: \r\n")
    assert "x" in headers
    assert headers.get("z") is None


def test_the_content_type_is_compared_without_case_and_parameters() -> None:
    message = parse_message(request(headers=("c: Application/SDP ; charset=utf-8",)))
    assert message.content_type == "application/sdp"
    assert parse_message(request()).content_type is None
    assert parse_message(request(contact=None)).contact is None
    with pytest.raises(SipError):
        _ = Request("X", "sip:h", Headers()).via
    with pytest.raises(SipError):
        _ = Request("X", "sip:h", Headers()).to


def test_a_response_without_a_to_header_to_copy_has_none() -> None:
    bare = Request("INVITE", "sip:b@h", Headers((("Via", "SIP/2.0/UDP h"), ("Timestamp", "5"))))
    response = Response.answering(bare, 100, to_tag="x", reason="a\r\nb\x00")
    assert list(response.headers) == [("Via", "SIP/2.0/UDP h"), ("Timestamp", "5")]
    assert response.reason == "a b"
    odd = Request("INVITE", "sip:b@h", Headers((("To", "<"),)))
    assert Response.answering(odd, 799, to_tag="x").headers.get("To") == "<"
