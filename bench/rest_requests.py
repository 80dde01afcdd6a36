"""What a request of the REST interface costs: CPU of the process that takes calls, and how long calls wait for one.

    python -m bench.rest_requests [requests]

The client is a process of its own. `wait` is the longest that the event loop is busy at a stretch, as a timer sees it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import structlog
import uvloop

from sidecar.app import running_sidecar
from sidecar.settings import load_settings

CLIENT = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
body = sys.argv[4].encode() if len(sys.argv) > 4 else None
if body and body.startswith(b"fill:"):
    body = b'{"text": "' + b"x" * int(body[5:]) + b'"}'
for _ in range(int(sys.argv[5]) if len(sys.argv) > 5 else 1):
    connection.request(sys.argv[2], sys.argv[3], body or None, {"Content-Type": "application/json"} if body else {})
    connection.getresponse().read()
"""
REQUESTS = [
    ("GET", "/healthz", ""),
    ("GET", "/v1/streams", ""),
    ("POST", "/v1/streams/x/pause", ""),
    ("POST", "/v1/streams/x/text", json.dumps({"text": "hello"})),
    ("POST", "/v1/streams/x/text", f"fill:{(1 << 20) - 20}"),
    ("GET", "/metrics", ""),
    ("GET", "/openapi.json", ""),
    ("GET", "/docs/swagger-ui-bundle.js", ""),
]


async def main(requests: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    ports = {"port": 0}
    settings = load_settings(values={"sip": ports, "rtp": ports, "api": {**ports, "requests_per_second": 1e9}})
    async with running_sidecar(settings) as sidecar:
        for method, path, body in REQUESTS:
            count = requests if not body.startswith("fill:") else max(1, requests // 20)
            await client(sidecar.api_port, method, path, body, 20)
            idle = time.process_time()
            await asyncio.sleep(0.5)
            idle = 2 * (time.process_time() - idle)  # a second of a sidecar that does nothing
            waits = asyncio.create_task(longest_wait())
            cpu, began = time.process_time(), time.monotonic()
            await client(sidecar.api_port, method, path, body, count)
            cpu, took = time.process_time() - cpu, time.monotonic() - began
            waits.cancel()
            each = 1e6 * (cpu - idle * took) / count
            print(
                f"{method:5}{path[:30]:32}{len(body) and body[:12]!s:14}{each:8.0f} us{1000 * LONGEST[0]:8.1f} ms wait"
            )


LONGEST = [0.0]


async def longest_wait() -> None:
    LONGEST[0], loop = 0.0, asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.001
        await asyncio.sleep(0.001)
        LONGEST[0] = max(LONGEST[0], loop.time() - due)


async def client(port: int, method: str, path: str, body: str, count: int) -> None:
    arguments = [sys.executable, "-c", CLIENT, str(port), method, path, body, str(count)]
    process = await asyncio.create_subprocess_exec(*arguments, stderr=subprocess.DEVNULL)
    assert await process.wait() == 0


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
