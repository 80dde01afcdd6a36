from __future__ import annotations

from collections import deque

from .call import Call
from .counters import Counters
from .dialog import Dialog, DialogKey
from .event import CallAnswered, CallEnded, CallRef, Event
from .request import Request
from .timer_queue import TimerQueue


class CallTable:
    """The calls of one user agent: by name, by dialog and by deadline, and what they have to tell."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._calls: dict[CallRef, Call] = {}  # those that ended stay until all is tidied up
        self._calls_by_dialog: dict[DialogKey, Call] = {}
        self._queue: TimerQueue[Call] = TimerQueue()
        self._events: deque[Event] = deque()
        self._last_ref = 0

    @property
    def is_empty(self) -> bool:
        """Whether no call, dialog or deadline is left."""
        return not (self._calls or self._calls_by_dialog or len(self._queue))

    @property
    def open_calls(self) -> int:
        """The number of calls that are up, or of which an answer is still waited for."""
        return sum(call.is_open for call in self._calls.values())

    @property
    def live_calls(self) -> int:
        """The number of calls that have not ended."""
        counters = self._counters
        return counters.calls_received + counters.calls_placed - counters.calls_ended

    def new_ref(self) -> CallRef:
        """Name a new call."""
        self._last_ref += 1
        return CallRef(self._last_ref)

    def add(self, call: Call) -> None:
        """Take a new call."""
        self._calls[call.ref] = call

    def get(self, owner: int) -> Call | None:
        """Return the call that a transaction belongs to, though it may have ended."""
        return self._calls.get(CallRef(owner))

    def find(self, ref: CallRef) -> Call | None:
        """Return a call that has not ended."""
        assert 0 < ref <= self._last_ref, f"no call was ever named {ref}"
        call = self._calls.get(ref)
        return None if call is None or call.has_ended else call

    def find_dialog(self, request: Request) -> tuple[Call, Dialog] | None:
        """Return what a request in a dialog belongs to. See RFC 3261, section 12.2.2."""
        key = (request.call_id, request.to.tag or "", request.from_.tag or "")
        call = self._calls_by_dialog.get(key)
        dialog = None if call is None else call.dialogs.get(key)
        return None if call is None or dialog is None else (call, dialog)

    def settle(self, call: Call) -> None:
        """Take the events of a call, note its dialogs and its deadline, and forget it when it is over."""
        for event in call.events:
            self.tell(event)
        call.events.clear()
        for key in call.dropped_dialogs:
            self._calls_by_dialog.pop(key, None)
        call.dropped_dialogs.clear()
        is_over = call.is_over
        self._queue.set(call, None if is_over else call.next_timeout())
        if is_over:
            self._calls.pop(call.ref, None)
            for key in call.dialogs:
                self._calls_by_dialog.pop(key, None)
        else:
            self._calls_by_dialog.update(dict.fromkeys(call.dialogs, call))

    def tell(self, event: Event) -> None:
        """Tell the owner."""
        self._events.append(event)
        if isinstance(event, CallEnded):
            self._counters.calls_ended += 1
        elif isinstance(event, CallAnswered):
            self._counters.calls_answered += 1

    def next_event(self) -> Event | None:
        """Return the next thing that the owner should know."""
        return self._events.popleft() if self._events else None

    def handle_timeout(self, *, now: float) -> None:
        """Deadlines passed; safe to call early or late."""
        for call in self._queue.pop_due(now=now):
            call.handle_timeout(now=now)
            self.settle(call)

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        return self._queue.next_timeout()
