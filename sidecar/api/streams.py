"""Streams: seen, steered, attached and ended."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Path, Query, Response

from sidecar.api.bodies import (
    AttachBody,
    ChangeBody,
    DigitsBody,
    HangupBody,
    LastTextBody,
    PlayBody,
    TextBody,
    TransferBody,
)
from sidecar.api.parameters import known_parameters_alone
from sidecar.api.problems import Problem, ProblemKind, invalid
from sidecar.core.attaching import Attacher, AttachRequest
from sidecar.core.commands import Change, ClearPlayback, Command, Dial, End, Hangup, Pause, Play, Resume, Say, Transfer
from sidecar.core.directory import Directory, DirectoryError
from sidecar.core.link import StreamStats
from sidecar.core.stream_snapshot import StreamSnapshot
from sidecar.io.steering import Steering

MOST_OF_A_PAGE = 200
_STATS_SECONDS = 1.0

STREAM_ID = "[0-9a-zA-Z._:@+-]{1,128}"  # see the option ID

StreamId = Annotated[str, Path(pattern=f"^{STREAM_ID}$", examples=["6b1f0c3d9a2e4f57"])]


class StreamPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Some streams, in the order of their ids."""

    streams: list[StreamSnapshot]
    next: str | None  # the `cursor` of the next page; None: this is the last one
    unseen: str | None = None  # why the streams of other pods are missing


class StreamDetail(msgspec.Struct, frozen=True):
    """One stream, and what has passed through it."""

    stream: StreamSnapshot
    stats: StreamStats | None  # None: its media worker did not say so in time


class Attached(msgspec.Struct, frozen=True):
    """A stream has been attached."""

    stream: str


def json_response(value: Any, status: int = 200, **headers: str) -> Response:
    """Answer with a value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, "application/json")


def stream_routes(steering: Steering, attacher: Attacher | None, directory: Directory | None) -> APIRouter:
    """Return the routes under /v1/streams; with a `directory`, the streams of all pods are listed."""
    router = APIRouter(prefix="/v1/streams", tags=["streams"], dependencies=[Depends(known_parameters_alone)])
    _add_streams(router, steering, attacher, directory)
    _add_stream(router, steering, pod=directory.pod if directory else "")
    _add_commands(router, steering)
    return router


def _add_streams(router: APIRouter, steering: Steering, attacher: Attacher | None, directory: Directory | None) -> None:
    """Add what is asked of all streams."""

    @router.get("", summary="List the streams")
    async def streams(
        limit: Annotated[int, Query(ge=1, le=MOST_OF_A_PAGE)] = 50,
        cursor: Annotated[str | None, Query(max_length=256, description="what `next` of the page before has")] = None,
        call: Annotated[str | None, Query(max_length=128, description="those of this call alone")] = None,
    ) -> Response:
        after, most, unseen = _place(cursor), limit + 1, None
        try:
            found = await directory.page(after=after, most=most, call=call) if directory else None
        except DirectoryError as error:
            found, unseen = None, str(error)
        if found is None:
            own = steering.page(after=after, most=most, call=call)
            found = [msgspec.structs.replace(each, pod=directory.pod if directory else "") for each in own]
        page = found[:limit]
        return json_response(StreamPage(page, _cursor(page[-1].id) if len(found) > limit else None, unseen))

    @router.post("", summary="Attach a stream to a live FreeSWITCH call", status_code=201)
    async def attach(body: AttachBody) -> Response:
        if attacher is None:
            raise Problem(ProblemKind.NOT_CONFIGURED, "no FreeSWITCH is configured")
        stream = await attacher.attach(AttachRequest(body.call, body.options(), body.profile, body.freeswitch))
        return json_response(Attached(stream), 201, Location=f"/v1/streams/{stream}")


def _cursor(stream: str) -> str:
    """Return what stands for the page after a stream: not its id, which nobody is to guess at."""
    return urlsafe_b64encode(b"after " + stream.encode()).rstrip(b"=").decode()


def _place(cursor: str | None) -> str:
    """Return the id of the stream that a cursor goes on after."""
    if cursor is None:
        return ""
    try:
        said = urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        said = ""
    stream = said.removeprefix("after ")
    if cursor != _cursor(stream):
        raise invalid([("cursor", "not the `next` of a page")])
    return stream


def _add_stream(router: APIRouter, steering: Steering, *, pod: str) -> None:
    """Add what is asked of one stream as such."""

    @router.get("/{stream}", summary="See one stream")
    async def see(stream: StreamId) -> Response:
        snapshot = msgspec.structs.replace(steering.stream(stream), pod=pod)
        try:
            async with asyncio.timeout(_STATS_SECONDS):
                stats = await steering.stats(stream)
        except (TimeoutError, ValueError):  # it is over, all but its name
            stats = None
        return json_response(StreamDetail(snapshot, stats))

    @router.patch("/{stream}", summary="Change mix, rate, URL or buffer size", status_code=202)
    async def change(stream: StreamId, body: ChangeBody) -> Response:
        return _obey(steering, stream, Change(body.options()))

    @router.delete("/{stream}", summary="End the stream, and its call with it", status_code=202)
    async def end(stream: StreamId, body: Annotated[LastTextBody | None, Body()] = None) -> Response:
        return _obey(steering, stream, End(body.text if body else None))


def _add_commands(router: APIRouter, steering: Steering) -> None:
    """Add what a stream is told to do."""

    @router.post("/{stream}/pause", summary="Send the bot no audio", status_code=202)
    async def pause(stream: StreamId) -> Response:
        return _obey(steering, stream, Pause())

    @router.post("/{stream}/resume", summary="Send the bot audio again", status_code=202)
    async def resume(stream: StreamId) -> Response:
        return _obey(steering, stream, Resume())

    @router.post("/{stream}/text", summary="Send the bot a text message", status_code=202)
    async def say(stream: StreamId, body: TextBody) -> Response:
        return _obey(steering, stream, Say(body.text))

    @router.post("/{stream}/play", summary="Play a clip to the caller", status_code=202)
    async def play(stream: StreamId, body: PlayBody) -> Response:
        return _obey(steering, stream, Play(body.model_dump(exclude_none=True)))

    @router.post("/{stream}/clear", summary="Play nothing of what is queued", status_code=202)
    async def clear(stream: StreamId) -> Response:
        return _obey(steering, stream, ClearPlayback())

    @router.post("/{stream}/dtmf", summary="Let the caller hear digits", status_code=202)
    async def dial(stream: StreamId, body: DigitsBody) -> Response:
        return _obey(steering, stream, Dial(body.digits, body.duration_ms))

    @router.post("/{stream}/transfer", summary="Let the caller call somebody else", status_code=202)
    async def transfer(stream: StreamId, body: TransferBody) -> Response:
        return _obey(steering, stream, Transfer(body.to))

    @router.post("/{stream}/hangup", summary="End the call, for a reason", status_code=202)
    async def hangup(stream: StreamId, body: Annotated[HangupBody | None, Body()] = None) -> Response:
        return _obey(steering, stream, Hangup(body.cause if body else None))


def _obey(steering: Steering, stream: str, command: Command) -> Response:
    steering.obey(stream, command)
    return Response(status_code=202)
