"""URIs, addresses, Via, CSeq, parameters and Reason."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import CSeq, Headers, NameAddr, Parameters, ReasonHeader, SipError, SipUri, Via
from sip.error import UnsupportedUriScheme
from sip.grammar import is_ip_literal, split_outside_quotes

TOKENS = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)
HOSTS = st.one_of(
    st.text("abcXYZ019-._", min_size=1, max_size=20),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
PORTS = st.none() | st.integers(0, 65535)
PARAMETERS = st.lists(st.tuples(TOKENS, st.none() | TOKENS), max_size=4).map(lambda items: Parameters(tuple(items)))
URIS = st.builds(
    SipUri,
    HOSTS,
    PORTS,
    st.none() | st.text("abc019-_.!~*'()&=+$,;?/%", min_size=1),
    st.none(),
    PARAMETERS,
    st.sampled_from(["", "subject=x&priority=urgent"]),
    st.sampled_from(["sip", "sips"]),
)


@given(URIS)
def test_a_uri_is_what_it_prints(uri: SipUri) -> None:
    assert SipUri.parse(str(uri)) == uri


@given(URIS, st.none() | st.text(st.characters(exclude_characters="\r\n")), PARAMETERS)
def test_an_address_is_what_it_prints(uri: SipUri, name: str | None, parameters: Parameters) -> None:
    address = NameAddr(str(uri), name, parameters)
    assert NameAddr.parse(str(address)) == address


@given(HOSTS, PORTS, PARAMETERS, st.sampled_from(["UDP", "TCP", "TLS"]))
def test_a_via_is_what_it_prints(host: str, port: int | None, parameters: Parameters, transport: str) -> None:
    via = Via(host, port, parameters, transport)
    assert Via.parse(str(via)) == via


@given(TOKENS, st.none() | st.integers(0, 9999), st.none() | st.text(st.characters(exclude_characters="\r\n")))
def test_a_reason_is_what_it_prints(protocol: str, cause: int | None, text: str | None) -> None:
    reason = ReasonHeader(protocol, cause, text)
    assert ReasonHeader.parse(str(reason)) == reason


@given(st.text(max_size=60))
def test_parsers_of_values_raise_nothing_but_sip_error(text: str) -> None:
    for parse in (SipUri.parse, NameAddr.parse, Via.parse, CSeq.parse, Parameters.parse, ReasonHeader.parse):
        for prefix in ("", "sip:", "<sip:", "SIP/2.0/UDP ", "1 ", ";a="):
            with contextlib.suppress(SipError):
                parse(prefix + text)


def test_a_uri_keeps_every_part_as_it_was_written() -> None:
    text = "sips:j%40s0n;x?:pa%20ss@[2001:db8::1]:5071;transport=tls;lr?Subject=hi"
    uri = SipUri.parse(text)
    assert (uri.user, uri.password, uri.host, uri.port) == ("j%40s0n;x?", "pa%20ss", "2001:db8::1", 5071)
    assert uri.parameters.get("TRANSPORT") == "tls"
    assert "lr" in uri.parameters
    assert str(uri) == text


@pytest.mark.parametrize(
    "text", ["sip", "sip:", "sip:@h", "sip:a b@h", "sip:h:x", "sip:h:65536", "sip:[::1", "sip:[::::]", "sip:h;=1"]
)
def test_a_malformed_uri_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        SipUri.parse(text)


def test_a_tel_uri_is_no_sip_uri_but_may_be_the_caller() -> None:
    with pytest.raises(UnsupportedUriScheme):
        SipUri.parse("tel:+4930123456")
    caller = NameAddr.parse("<tel:+4930123456;phone-context=x>;tag=7")
    assert (caller.uri, caller.tag) == ("tel:+4930123456;phone-context=x", "7")
    with pytest.raises(UnsupportedUriScheme):
        caller.sip_uri()


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ('"A \\"B\\" \\\\" <sip:a@h>;tag=1', 'A "B" \\', "sip:a@h", "1"),
        ("Alice Smith  <sip:a@h;x=y> ; tag = 1", "Alice Smith", "sip:a@h;x=y", "1"),
        ("sip:a@h;tag=1", None, "sip:a@h", "1"),
        ("<sip:a@h>", None, "sip:a@h", None),
        ('""<sip:a@h>;q="a;tag=2"', "", "sip:a@h", None),
    ],
)
def test_addresses_in_all_their_shapes(text: str, name: str | None, uri: str, tag: str | None) -> None:
    address = NameAddr.parse(text)
    assert (address.display_name, address.uri, address.tag) == (name, uri, tag)
    assert str(address.sip_uri()) == uri


@pytest.mark.parametrize(
    "text", ['"A <sip:a@h>', '"A" sip:a@h', "<sip:a@h", "<sip:a@h> x", "", "a@h", '<sip:a@h>;tag="', "<sip:a b>"]
)
def test_a_malformed_address_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        NameAddr.parse(text)


def test_a_via_may_have_white_space_and_names_that_are_no_host_names() -> None:
    via = Via.parse("SIP / 2.0 / udp  first_host.example : 5070 ; Branch = z9hG4bKx ;rport")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "first_host.example", 5070, "z9hG4bKx")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("SIP/2.0/UDP h:5070;rport;branch=z9hG4bKx", ("198.51.100.7", 4444)),
        ("SIP/2.0/UDP h:5070;branch=z9hG4bKx", ("198.51.100.7", 5070)),
        ("SIP/2.0/UDP h;maddr=203.0.113.1;received=203.0.113.2", ("198.51.100.7", 5060)),
    ],
)
def test_a_response_goes_to_where_the_request_came_from(text: str, address: tuple[str, int]) -> None:
    via = Via.parse(text).with_source(("198.51.100.7", 4444))
    assert via.response_address() == address
    assert Via.parse(str(via)) == via


def test_without_source_a_response_goes_to_the_host_that_the_via_names() -> None:
    assert Via.parse("SIP/2.0/UDP 203.0.113.9;rport=x").response_address() == ("203.0.113.9", 5060)


@pytest.mark.parametrize("text", ["", "1", "INVITE", "-1 INVITE", "2147483648 INVITE", "1 IN VITE"])
def test_a_malformed_cseq_is_refused(text: str) -> None:
    with pytest.raises(SipError):
        CSeq.parse(text)


def test_a_cseq_is_what_it_prints() -> None:
    assert CSeq.parse(" 2147483647   INVITE ") == CSeq(2147483647, "INVITE")
    assert str(CSeq(1, "BYE")) == "1 BYE"


def test_replacing_a_parameter_leaves_one_of_it() -> None:
    parameters = Parameters.parse("a=1;B=2;c;b=3")
    assert str(parameters.replace("b", "x")) == ";a=1;b=x;c"
    assert str(parameters.replace("d", None)) == ";a=1;B=2;c;b=3;d"


def test_a_reason_is_written_as_rfc_3326_says() -> None:
    text = 'Q.850;cause=16;text="Normal \\"call\\" clearing"'
    assert str(ReasonHeader("Q.850", 16, 'Normal "call" clearing')) == text
    assert ReasonHeader.parse("SIP ;cause=200;text=OK") == ReasonHeader("SIP", 200, "OK")
    for malformed in ("", "Q 850", "SIP;cause=x"):
        with pytest.raises(SipError):
            ReasonHeader.parse(malformed)


def test_commas_in_quotes_and_brackets_do_not_separate() -> None:
    assert split_outside_quotes('"a,\\"b" <sip:x,"@h>, c,, d', ",") == ('"a,\\"b" <sip:x,"@h>', "c", "d")


def test_a_host_name_is_no_ip_literal() -> None:
    assert [is_ip_literal(host) for host in ("192.0.2.1", "::1", "a.example", "1.2.3", "x::y")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_separator_of_another_kind_separates_nothing() -> None:
    assert split_outside_quotes('<sip:a>,b;"c,d;e"', ";") == ("<sip:a>,b", '"c,d;e"')


def test_headers_are_a_value() -> None:
    headers = Headers((("To", "a"), ("f", "b"), ("To", "c")))
    same = Headers.of_checked(headers.items)
    assert (headers, hash(headers), repr(headers)) == (same, hash(same), f"Headers({headers.items})")
    assert headers != headers.remove("From")
    assert (headers.repeated, headers.remove("To").repeated) == (["to"], ())
