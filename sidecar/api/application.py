"""The application: routes, what becomes of errors, and what OpenAPI says of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException

from sidecar import __version__
from sidecar.api.console_page import console_routes
from sidecar.api.event_stream import Listeners, event_routes
from sidecar.api.openapi import describe, methods_of
from sidecar.api.operations import add_description, add_documents, operation_routes
from sidecar.api.problems import MEDIA_TYPE, Problem, ProblemKind, invalid, kind_for_status
from sidecar.api.streams import stream_routes
from sidecar.core.attaching import Attacher, AttachError
from sidecar.core.directory import Directory
from sidecar.core.errors import CommandError, NoSuchStream
from sidecar.core.options import OptionError
from sidecar.io.steering import Steering


def make_application(
    steering: Steering,
    *,
    attacher: Attacher | None,
    directory: Directory | None,
    listeners: Listeners,
    registry: CollectorRegistry,
) -> FastAPI:
    """Return the application; it is to be within a `Frame`."""
    app = FastAPI(title="audio-stream-sidecar", version=__version__, openapi_url=None)
    app.include_router(stream_routes(steering, attacher, directory))
    app.include_router(event_routes(listeners))
    app.include_router(operation_routes(steering, registry))
    app.include_router(console_routes())
    add_documents(app)
    document = describe(app)  # now: it takes long
    add_description(app, document)
    for kind, reader in _READERS.items():
        app.add_exception_handler(kind, _handler(reader))
    app.add_exception_handler(HTTPException, _http_handler(document))
    return app


def _handler(read: Callable[[Any], Problem]) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        return _response(request, read(error))

    return answer


def _http_handler(document: dict[str, Any]) -> Callable[[Request, Exception], Any]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := methods_of(document, request.url.path)):
            headers["Allow"] = ", ".join(methods)  # Starlette knows those of one route alone
        return _response(request, Problem(kind_for_status(error.status_code), str(error.detail), headers=headers))

    return answer


def _response(request: Request, problem: Problem) -> Response:
    body = problem.body(request.state.request_id)
    return Response(body, problem.kind.status, problem.headers, MEDIA_TYPE)


def _of_validation(error: RequestValidationError) -> Problem:
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return Problem(ProblemKind.BAD_REQUEST, "the body is not JSON")
    messages: dict[str, list[str]] = {}  # by field; one that may be of several kinds has a message of each
    for each in found:
        field = str(each["loc"][1]) if len(each["loc"]) > 1 else "body"
        messages.setdefault(field, []).append(str(each["msg"]).removeprefix("Value error, "))
    return invalid([(field, ", or: ".join(each)) for field, each in messages.items()])


def _of_option(error: OptionError) -> Problem:
    if error.sip_status == 403:
        return Problem(ProblemKind.FORBIDDEN, str(error), errors=[(error.name, error.reason)])
    return invalid([(error.name, error.reason)])


def _of_command(error: CommandError) -> Problem:
    if isinstance(error, NoSuchStream):
        return Problem(ProblemKind.NO_SUCH_STREAM, str(error))
    errors = [(error.field, str(error))] if error.field else []
    return Problem(kind_for_status(error.http_status), str(error), errors=errors)


_READERS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    RequestValidationError: _of_validation,
    CommandError: _of_command,
    OptionError: _of_option,
    AttachError: lambda error: Problem(kind_for_status(error.http_status), str(error)),
    Exception: lambda error: Problem(ProblemKind.INTERNAL, "the log of the sidecar has more"),
}
