"""The link as a stream: however it is cut, the same messages come out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.link import (
    BotConnected,
    BotText,
    CloseStream,
    FromWorker,
    SendText,
    StreamTold,
    ToWorker,
    WorkerLoad,
    WorkerReady,
)
from sidecar.core.link_stream import LinkBroken, LinkReader, LinkWriter

MESSAGES = st.lists(
    st.one_of(
        st.builds(WorkerReady, st.integers(0, 65535)),
        st.builds(BotText, st.text(max_size=4), st.text(max_size=300)),
        st.builds(BotConnected, st.text(max_size=16)),
    ),
    max_size=20,
)


def written(writer: LinkWriter) -> bytes:
    with writer.view() as view:
        data = bytes(view)
    writer.written(len(data))
    return data


@given(MESSAGES, st.data())
def test_messages_arrive_as_they_were_however_the_stream_is_cut(
    messages: list[FromWorker], data: st.DataObject
) -> None:
    writer = LinkWriter()
    for message in messages:
        assert writer.put(message)
    stream = written(writer)
    assert writer.waiting == 0
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=30))})
    reader: LinkReader[FromWorker] = LinkReader(FromWorker)
    arrived = [message for start, end in pairwise(cuts) for message in reader.feed(stream[start:end])]
    assert arrived == messages
    assert reader.messages == writer.messages == len(messages)


def test_what_was_written_in_part_goes_on_where_it_stopped() -> None:
    writer, reader = LinkWriter(), LinkReader[ToWorker](ToWorker)
    writer.put(CloseStream("one"))
    writer.put(CloseStream("two"))
    with writer.view() as view:
        first = bytes(view[:5])
    writer.written(5)
    writer.put(CloseStream("three"))
    assert reader.feed(first) == []
    assert reader.feed(written(writer)) == [CloseStream("one"), CloseStream("two"), CloseStream("three")]


def test_where_the_other_side_does_not_read_texts_are_dropped_and_all_else_waits() -> None:
    writer, reader = LinkWriter(soft_bound=100, hard_bound=1000), LinkReader[FromWorker](FromWorker)
    assert writer.put(BotText("s", "a" * 200))  # one may be as long as it likes
    assert not writer.put(BotText("s", "dropped"))
    assert not writer.put(StreamTold("s", "play", "{}"))
    assert not writer.put(SendText("s", "dropped too"))
    assert writer.put(BotConnected("s"))
    assert writer.dropped == 3
    assert [type(message) for message in reader.feed(written(writer))] == [BotText, BotConnected]
    assert writer.put(BotText("s", "there is room again"))


def test_who_reads_nothing_at_all_is_given_up() -> None:
    writer = LinkWriter(soft_bound=100, hard_bound=1000)
    while writer.waiting <= 1000:
        assert writer.put(WorkerLoad())
    with pytest.raises(LinkBroken, match="are not read"):
        writer.put(WorkerLoad())


def test_what_is_no_message_breaks_the_link() -> None:
    reader: LinkReader[ToWorker] = LinkReader(ToWorker)
    with pytest.raises(LinkBroken):
        reader.feed(b"\x00\x00\x00\x01\xc1")
    writer = LinkWriter()
    writer.put(WorkerReady(1))  # which control does not say
    with pytest.raises(LinkBroken):
        LinkReader[ToWorker](ToWorker).feed(written(writer))
