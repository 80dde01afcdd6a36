"""The query of a request."""

from __future__ import annotations

from fastapi import Request
from fastapi.routing import APIRoute

from sidecar.api.problems import invalid


def known_parameters_alone(request: Request) -> None:
    """Refuse a parameter that the path does not know: who mistypes a filter must not take all for what was found."""
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = [each.alias for each in route.dependant.query_params]
    if unknown := sorted(request.query_params.keys() - set(known)):
        told = f"no such parameter; there are {', '.join(known)}" if known else "no such parameter; there are none"
        raise invalid([(each, told) for each in unknown])
