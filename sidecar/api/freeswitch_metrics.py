"""What is counted of event sockets, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sidecar.api.metric_families import counter, each, gauge, one
from sidecar.core.freeswitch.tickets import Tickets
from sidecar.io.freeswitch_servers import FreeSwitchServers


class FreeSwitchMetrics(Collector):
    """Of FreeSWITCH servers, and what they are told; a server is named as the operator has named it."""

    def __init__(self, servers: FreeSwitchServers, tickets: Tickets) -> None:
        self._servers = servers
        self._tickets = tickets

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        clients = self._servers.clients
        ready = each({name: client.is_ready for name, client in clients.items()})
        yield gauge("event_socket_ready", "Whether commands can be sent", ready, "server")
        counters = {name: client.counters for name, client in clients.items()}
        ends = [
            ((name, what), count)
            for name, seen in counters.items()
            for what, count in (("connected", seen.connected), ("failed", seen.failed), ("lost", seen.lost))
        ]
        yield counter("event_socket_connections", "What became of connections", ends, "server", "outcome")
        commands = each({name: seen.commands for name, seen in counters.items()})
        yield counter("event_socket_commands", "Commands sent", commands, "server")
        refused = each({name: seen.refused for name, seen in counters.items()})
        yield counter("event_socket_refused", "Commands that were too many, or had no connection", refused, "server")
        outlets = self._servers.outlets
        waiting = each({name: len(outlet.waiting) for name, outlet in outlets.items()})
        yield gauge("freeswitch_events_waiting", "Events that FreeSWITCH has yet to be told", waiting, "server")
        told = each({name: outlet.counters.told for name, outlet in outlets.items()})
        yield counter("freeswitch_events_told", "Events that FreeSWITCH has taken", told, "server")
        lost = [
            ((name, reason), count)
            for name, outlet in outlets.items()
            for reason, count in (
                ("full", outlet.waiting.dropped),
                ("refused", outlet.counters.refused),
                ("failed", outlet.counters.failed),
            )
        ]
        yield counter("freeswitch_events_lost", "Events that FreeSWITCH was not told", lost, "server", "reason")
        router = self._servers.events
        undecided = each({"full": router.waiting.dropped, "too_long": router.too_long})
        lost_before = "Events lost before it was known whose they are"
        yield counter("freeswitch_events_undecided_lost", lost_before, undecided, "reason")
        yield counter("tickets_refused", "Legs that were too many to ask for at once", one(self._tickets.refused))
