"""A client of the REST interface: one request a connection, and one that listens to events."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    host: str = LOOPBACK,
) -> Reply:
    """Send a request; a body that is no bytes goes as JSON."""

    def talk() -> Reply:
        connection = http.client.HTTPConnection(host, port, timeout=10)
        given = {"Content-Type": "application/json"} if body is not None else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            with contextlib.suppress(BrokenPipeError):  # who is refused early need not be read to the end
                connection.request(method, path, data, {**given, **(headers or {})})
            response = connection.getresponse()
            return Reply(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    return await asyncio.to_thread(talk)


@dataclass(frozen=True, slots=True)
class Told:
    """One event of an event stream; comments are left out."""

    kind: str
    id: str
    data: Any


class EventListener:
    """Somebody who listens to events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self.head = head
        self.comments: list[str] = []
        self.last_id = ""
        self.writer = writer
        self._reader = reader

    async def next(self, *, within: float = 5.0) -> Told:
        """Wait for the next event."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(within):
            while line := (await self._reader.readline()).decode():
                line = line.rstrip("\n")
                if line.startswith(":"):
                    self.comments.append(line[1:].strip())
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    self.last_id = fields.get("id", self.last_id)
                elif "data" in fields:
                    return Told(fields["event"], fields["id"], json.loads(fields["data"]))
                else:
                    fields.clear()
        raise EOFError("the event stream is over")

    async def until(self, kind: str, *, within: float = 5.0) -> Told:
        """Wait for the next event of a kind, past others."""
        async with asyncio.timeout(within):
            while (told := await self.next()).kind != kind:
                pass
        return told


@asynccontextmanager
async def listening(
    port: int, query: str = "", *, headers: Mapping[str, str] | None = None, host: str = LOOPBACK
) -> AsyncIterator[EventListener]:
    """Listen to events; by HTTP/1.0, so that the body comes as it is."""
    reader, writer = await asyncio.open_connection(host, port)
    lines = [f"GET /v1/events{query} HTTP/1.0", f"Host: {host}:{port}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
        yield EventListener(reader, writer, head)
    finally:
        writer.transport.abort()
