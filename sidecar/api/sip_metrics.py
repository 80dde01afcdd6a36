"""What control counts of calls, SIP and the link, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from platform import python_version
from typing import TypeVar

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sidecar import __version__
from sidecar.api.metric_families import Samples, counter, each, gauge, histogram, one
from sidecar.core.call_control import CallControl
from sidecar.core.errors import ErrorCode
from sidecar.io.event_feed import EventFeed
from sidecar.io.sip_connection import Ending
from sidecar.io.sip_driver import SipDriver
from sidecar.io.sip_streams import Refusal
from sidecar.io.supervisor import Supervisor
from sidecar.io.worker_inside import WorkerInside
from sidecar.io.worker_process import WorkerProcess
from sip import EndCause, UserAgent

_E = TypeVar("_E", bound=Enum)


class ControlMetrics(Collector):
    """Of calls, of the link to workers, and of what goes on beside."""

    def __init__(
        self,
        control: CallControl,
        workers: Sequence[WorkerInside | WorkerProcess],
        supervisor: Supervisor,
        events: EventFeed,
        traces: Mapping[str, int] | None,
        *,
        log_lines_lost: Callable[[], int],
    ) -> None:
        """`traces` are what has become of spans, if there are any."""
        self._control = control
        self._workers = workers
        self._supervisor = supervisor
        self._events = events
        self._log_lines_lost = log_lines_lost
        self._traces = traces or dict.fromkeys(("exported", "failed", "dropped"), 0)

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        control, figures = self._control, self._control.figures
        yield gauge("build_info", "Which version this is", [((__version__, python_version()), 1)], "version", "python")
        states = control.states()
        yield gauge(
            "streams",
            "Streams that there are",
            each({state: states[state] for state in ("starting", "up", "ending")}),
            "state",
        )
        ended = {cause.name.lower(): figures.ended[cause.name.lower()] for cause in EndCause}
        yield counter("calls_ended", "Calls that are over", each(ended), "cause")
        yield counter("calls_refused", "Calls refused for what they ask for", each(figures.refused), "status")
        yield counter("legs_refused", "Legs that found no room in a worker, or no address", one(figures.legs_refused))
        yield counter("ports_refused", "Calls that found no RTP port", one(control.ports_refused))
        errors = {code.value: figures.errors[code] for code in ErrorCode}  # each has to begin at 0, to be seen to grow
        yield counter("stream_errors", "Events `error`", each(errors), "code")
        yield counter("infos_refused", "INFOs to callers that were too many, or too long", one(control.infos_refused))
        yield counter("infos_ignored", "INFOs of callers that hold no digit", one(control.ignored_infos))
        yield histogram("call_set_up_seconds", "From the INVITE to our answer", figures.set_up)
        yield counter("workers_lost", "Media workers that died or hung", one(control.workers.lost_workers))
        yield counter("events", "Events of streams", each(self._events.published), "kind")
        failures = self._supervisor.failures
        yield counter(
            "task_failures", "Tasks beside the calls that a mistake of ours has ended", each(failures), "task"
        )
        yield counter("event_failures", "Events that a mistake of ours kept from an outlet", one(self._events.failed))
        yield counter(
            "log_lines_lost", "Lines of the log that could not be written at once", one(self._log_lines_lost())
        )
        yield counter("trace_spans", "Spans of calls", each(self._traces), "outcome")
        links = [worker.link_counters for worker in self._workers]
        sent = {name: sum(link[name] for link in links) for name in ("sent", "received")}
        yield counter("link_messages", "Messages between control and workers", each(sent), "direction")
        writes = sum(link["writes"] for link in links)
        yield counter("link_writes", "System calls that took messages to workers", one(writes))
        dropped = sum(link["dropped"] for link in links)
        yield counter("link_dropped", "Texts that workers were not told, as the link was full", one(dropped))
        waiting = sum(worker.link_waiting for worker in self._workers)
        yield gauge("link_waiting_bytes", "What workers have yet to be told", one(waiting))


class SipMetrics(Collector):
    """Of SIP: messages, transactions, connections."""

    def __init__(self, agent: UserAgent, control: CallControl, driver: SipDriver[object]) -> None:
        self._agent = agent
        self._control = control
        self._driver = driver

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        seen = self._agent.counters
        yield counter("sip_requests_received", "Requests that came", each(seen.requests_by_method), "method")
        yield counter("sip_requests_sent", "Requests that we have sent", each(seen.requests_sent), "method")
        classes = {f"{number}xx": seen.responses_by_class[number] for number in range(1, 7)}
        yield counter("sip_responses_received", "Responses that came", each(classes), "class")
        yield counter("sip_responses_sent", "Responses that we have sent", each(seen.responses_sent), "status")
        dropped = {
            "malformed": seen.malformed_datagrams,
            "not_allowed": self._control.dropped_sources,
            "rate": seen.refused_sources,
            "stray_ack": seen.stray_acks,
            "stray_response": seen.stray_responses,
        }
        yield counter("sip_dropped", "Messages that were not answered, nor understood", each(dropped), "reason")
        refused = {
            "call": seen.refused_calls,
            "transaction": seen.refused_transactions,
            "malformed": seen.malformed_requests,
            "merged": seen.merged_requests,
            "challenge": seen.challenges,
            "any": seen.rejected_requests,
        }
        yield counter("sip_refused", "Requests refused without asking anybody", each(refused), "reason")
        wrong = one(seen.wrong_credentials)
        yield counter("sip_authentication_failures", "Calls whose name or password was wrong", wrong)
        yield counter("sip_datagrams_received", "SIP messages and keep-alives", one(seen.datagrams_received))
        yield counter("sip_keepalives", "Keep-alives", one(seen.keepalives))
        yield counter("sip_forgotten", "What was forgotten before its time", each(self._agent.forgotten), "what")
        yield counter("sip_calls_received", "Calls that came, and were let in", one(seen.calls_received))
        yield counter("sip_calls_answered", "Calls that were answered", one(seen.calls_answered))
        yield gauge("sip_transactions", "Transactions that are not over", one(self._agent.transactions))
        yield counter("sip_send_errors", "SIP datagrams that could not be sent", one(self._driver.send_errors))
        yield from self._of_connections()

    def _of_connections(self) -> Iterable[Metric]:
        streams = self._driver.streams
        counters = streams.counters
        yield gauge("sip_connections", "Connections of SIP that are open", one(len(streams)))
        begun = {"accepted": counters.accepted, "opened": counters.opened}
        yield counter("sip_connections_begun", "Connections of SIP that there have been", each(begun), "by")
        refused = _named(Refusal, counters.refused)
        yield counter("sip_connections_refused", "Connections of SIP that were not to be", refused, "reason")
        ended = _named(Ending, counters.ended)
        yield counter("sip_connections_ended", "Connections of SIP that are over", ended, "reason")
        errors = streams.accept_errors
        yield counter("sip_accept_errors", "Connections of SIP that could not be accepted", one(errors))


def _named(kind: type[_E], counts: Mapping[_E, int]) -> Samples:
    return each({member.name.lower(): counts.get(member, 0) for member in kind})
