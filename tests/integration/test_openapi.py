"""What the OpenAPI document and docs/rest.md say, held against the interface itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar import __version__
from tests.support.bots import Bot
from tests.support.live_call import live_call
from tests.support.ports import LOOPBACK
from tests.support.rest import ask, listening
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test

DOCS = Path(__file__).parents[2] / "docs" / "rest.md"
ENDLESS = "/v1/events"
MANY = {"requests_per_second": 100_000}

# What a schema cannot say, such as whether a SIP URI can be called, is 422 too; and so is a key that is used again.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 422, 503]
"""


async def explore(
    car: SidecarUnderTest,
    directory: Path,
    *options: str,
    config: str = CONFIG,
    phases: str = "examples,coverage,fuzzing",
    examples: int = 4,
) -> None:
    """Let schemathesis send what the document allows, and what it does not."""
    (directory / "schemathesis.toml").write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(directory / "schemathesis.toml"), "run"),
        f"http://{LOOPBACK}:{car.sidecar.api_port}/openapi.json",
        *("--phases", phases, "--max-examples", str(examples)),
        *("--request-timeout", "10", "--seed", "1", "--no-color", *options),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, said.decode()[-8000:]


STEADY = ("--exclude-path-regex", "hangup|transfer", *("--exclude-method", "DELETE"), *("--exclude-method", "PATCH"))
"""What leaves a call as it is: not even another bot, who may not exist."""

# What is included by its path, or else by its method, is included: the two are not taken together.
ATTACHING = ("--include-path", "/v1/streams", "--exclude-method", "GET", "--suppress-health-check", "too_slow")


async def test_schemathesis_finds_nothing_in_a_call(tmp_path: Path) -> None:
    async with Bot() as bot, sidecar_under_test(api=MANY, stream={"url": bot.url}) as car, live_call(car) as call:
        config = f'{CONFIG}\n[parameters]\n"path.stream" = "{call.stream}"\n'
        await explore(car, tmp_path, "--include-path-regex", "stream}", *STEADY, config=config)
        snapshot = (await ask(car.sidecar.api_port, "GET", f"/v1/streams/{call.stream}")).json["stream"]
        assert (snapshot["state"], snapshot["bot"]) == ("up", "connected")


async def test_schemathesis_finds_nothing_where_there_is_no_call(tmp_path: Path) -> None:
    async with sidecar_under_test(api=MANY) as car:
        await explore(car, tmp_path, "--include-path-regex", "stream}$|hangup|transfer|z$|metrics|problems")


async def test_schemathesis_finds_nothing_in_attaching(tmp_path: Path) -> None:
    """Each option of a stream is tried by itself; all at once would take minutes."""
    async with sidecar_under_test(api=MANY) as car:
        await explore(car, tmp_path, *ATTACHING, phases="examples,fuzzing", examples=20)


async def test_schemathesis_finds_nothing_where_there_are_tokens(tmp_path: Path) -> None:
    async with sidecar_under_test(api={**MANY, "read_tokens": {"st": "0123456789abcdef"}}) as car:
        token = ("--header", "Authorization: Bearer 0123456789abcdef")
        await explore(car, tmp_path, *token, "--include-path", "/v1/streams", "--exclude-method", "POST")


async def test_the_document_is_whole() -> None:
    async with sidecar_under_test(api={}) as car:
        document = (await ask(car.sidecar.api_port, "GET", "/openapi.json")).json
    assert document["info"]["version"] == __version__
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            contents = [content for answer in answers for content in answer.get("content", {}).values()]
            assert all("example" in content for content in contents), where
            assert contents or "202" in operation["responses"], where
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body is not None:
                assert _resolved(document, body)["examples"], where


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    options = [each for each in (schema, *schema.get("anyOf", [])) if "$ref" in each]
    found: dict[str, Any] = document["components"]["schemas"][options[0]["$ref"].rpartition("/")[2]]
    return found


def curls() -> list[list[str]]:
    """Return the commands of docs/rest.md, each in its words."""
    (block,) = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.S)
    return [shlex.split(line) for line in block.replace("\\\n", "").splitlines()]


async def run_curl(car: SidecarUnderTest, words: list[str], stream: str) -> tuple[str, str, int]:
    """Do what curl would; return the method, the path and the status."""
    options = iter(words[1:])
    method, path, body, headers = "GET", "", None, {}
    for word in options:
        if word == "-X":
            method = next(options)
        elif word == "-H":
            name, _, value = next(options).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(options).encode()
        else:
            assert word.startswith("$SIDECAR/"), word
            path = word.removeprefix("$SIDECAR").replace("$STREAM", stream)
    reply = await ask(car.sidecar.api_port, method, path, body, headers=headers)
    return method, path.replace(stream, "{stream}").partition("?")[0], reply.status


async def test_every_example_works_and_every_operation_has_one() -> None:
    seen: dict[tuple[str, str], int] = {}
    async with Bot() as bot, sidecar_under_test(api={}, stream={"url": bot.url}) as car:
        document = (await ask(car.sidecar.api_port, "GET", "/openapi.json")).json
        for words in curls():
            async with live_call(car) as call:
                method, path, status = await run_curl(car, words, call.stream)
            seen[method, path] = status
        async with listening(car.sidecar.api_port) as listener:
            seen["GET", ENDLESS] = int(listener.head.split()[1])
    operations = {(method.upper(), path) for path, each in document["paths"].items() for method in each}
    assert operations | {("GET", "/openapi.json")} == set(seen)
    assert seen.pop(("POST", "/v1/streams")) == 409  # no FreeSWITCH is configured
    assert {key: status for key, status in seen.items() if status not in (200, 202)} == {}


@pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/begin.js"])
async def test_the_page_for_people_needs_nobody_else(path: str) -> None:
    async with sidecar_under_test(api={}) as car:
        reply = await ask(car.sidecar.api_port, "GET", path)
        missing = await ask(car.sidecar.api_port, "GET", "/docs/other.js")
    assert (reply.status, missing.status) == (200, 404)
    if path == "/docs":
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        sources = re.findall(r'(?:src|href)="([^"]+)"', reply.body.decode())
        assert sources
        assert not [source for source in sources if ":" in source or source.startswith("/")]
