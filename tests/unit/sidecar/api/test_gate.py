"""Who is let in by the REST interface, in virtual time."""

from __future__ import annotations

import pytest

from sidecar.api.gate import Gate
from sidecar.api.problems import Problem
from sidecar.core.access import AccessList, AccessToken, Scope

OPS, GRAFANA = (
    AccessToken("ops", Scope.FULL, "0123456789abcdef"),
    AccessToken("grafana", Scope.READ, "fedcba9876543210"),
)


def status(gate: Gate, *, client: str = "192.0.2.1", token: str = "", path: str = "/v1/streams") -> int:
    """Return what a request is answered with, at the time 0; 200 where it is let in."""
    headers = {b"host": b"127.0.0.1"} | ({b"authorization": b"Bearer " + token.encode()} if token else {})
    try:
        gate.admit("GET", path, headers, client=client, now=0.0)
    except Problem as problem:
        return problem.kind.status
    return 200


def a_gate(*tokens: AccessToken) -> Gate:
    return Gate(AccessList(tokens), requests_per_second=1, open_metrics=True)


def test_who_has_no_token_cannot_use_up_what_is_for_those_who_have_one() -> None:
    gate = a_gate(OPS, GRAFANA)
    assert [status(gate, token="made up, and long enough") for _ in range(4)] == [401, 401, 429, 429]
    assert [status(gate, token=OPS.secret) for _ in range(3)] == [200, 200, 429]
    assert status(gate, token=GRAFANA.secret) == 200


def test_nor_what_is_for_others_without_one() -> None:
    gate = a_gate(OPS)
    assert [status(gate, path="/metrics") for _ in range(3)] == [200, 200, 429]
    assert status(gate, path="/metrics", client="192.0.2.2") == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_always_answered(path: str) -> None:
    gate = a_gate(OPS)
    assert {status(gate, path=path) for _ in range(9)} == {200}


def test_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sip.admission._NAMES_MAX", 2)
    gate = a_gate()
    for client in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"):
        status(gate, client=client)
    assert status(gate, client="192.0.2.1") == 200  # it was forgotten
