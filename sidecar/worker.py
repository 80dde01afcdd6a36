"""A media worker in a process of its own: `python -m sidecar.worker DESCRIPTOR`, which control alone starts.

It lives as long as the link. Signals that a terminal or a supervisor sends to all processes are not for it: control
drains, and then ends it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys


def main() -> None:
    """Serve until control has no more to say, or is no more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy reads it once, when it is imported
    from structlog.contextvars import bind_contextvars

    from sidecar.io.loop import run_in_loop
    from sidecar.io.process_link import read_first
    from sidecar.io.worker_start import StartWorker, run_worker
    from sidecar.log import log_to_stderr

    link = socket.socket(fileno=int(sys.argv[1]))
    try:
        start = read_first(link, StartWorker)
    except EOFError:
        return
    log_to_stderr("info")
    bind_contextvars(worker=start.worker)
    run_in_loop(run_worker(link, start))


if __name__ == "__main__":
    main()
