"""The machine: files, buffers, processors, clock."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Mapping
from pathlib import Path

from sidecar.api.server import HttpLimits
from sidecar.doctor.finding import Finding, ok, warn
from sidecar.io.datagrams import RECEIVE_BUFFER
from sidecar.settings import Settings

_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_CPU_INFO = Path("/proc/cpuinfo")
_OTHER_FILES = 128  # of a process: logs, links, listeners, what Python has open
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def examine_machine(settings: Settings) -> list[Finding]:
    """Look at what the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [
        files_finding(_files_needed(settings), soft=soft, hard=hard),
        buffer_finding(_number(_RMEM_MAX), asked=RECEIVE_BUFFER),
        processors_finding(settings.workers, cores=cores, quota=read_quota()),
        *features_finding(_text(_CPU_INFO)),
        *threads_finding(os.environ),
        clock_finding(synchronised=clock_is_synchronised()),
    ]


def files_finding(needed: int, *, soft: int, hard: int) -> Finding:
    """Judge how many files a process may open: each call is one at least."""
    check = "open files"
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return ok(check, f"{'any number' if soft == resource.RLIM_INFINITY else soft} allowed, {needed} needed")
    how = "ulimit -n" if hard == resource.RLIM_INFINITY or hard >= needed else "as root: ulimit -Hn"
    fix = f"{how} {needed}; of systemd LimitNOFILE={needed}; or lower sip.max_calls"
    return warn(check, f"{soft} allowed, and {needed} needed for sip.max_calls calls and all connections", fix)


def buffer_finding(most: int | None, *, asked: int) -> Finding:
    """Judge how much RTP may wait in the kernel while a worker is late."""
    check = "receive buffer"
    if most is None:
        return ok(check, f"{asked >> 20} MiB asked for; this system does not say what it gives")
    if most >= asked:
        return ok(check, f"{asked >> 20} MiB")
    what = f"{most >> 10} KiB instead of {asked >> 20} MiB: RTP of many calls is lost sooner when the machine stalls"
    return warn(check, what, f"sysctl -w net.core.rmem_max={asked}, and in /etc/sysctl.d")


def processors_finding(workers: int, *, cores: int, quota: float | None) -> Finding:
    """Judge the number of media workers; control needs a part of a core beside them."""
    check, has = "workers", f"{workers} for {cores} cores"
    if quota is not None and max(1, workers) > quota:
        what = f"{has}, of which a quota leaves {quota:g}: all stop together when it is used up"
        return warn(check, what, f"workers = {max(1, int(quota) - 1)}, or a larger quota")
    if workers > cores:
        return warn(check, f"{has}: they wait for each other", f"workers = {max(1, cores - 1)}")
    return ok(check, has if workers else f"0: media in the control process, of {cores} cores")


def features_finding(cpu_info: str | None) -> list[Finding]:
    """Find processors for which numpy has no fast code."""
    flags = next((line.split() for line in (cpu_info or "").splitlines() if line.startswith("flags")), None)
    if flags is None or "avx2" in flags:  # not x86, or not to be known
        return []
    fix = "a virtual machine may hide it: choose the CPU model of the host"
    return [warn("processor", "has no AVX2: a call costs more", fix)]


def threads_finding(environment: Mapping[str, str]) -> list[Finding]:
    """Find threads of the matrix library, which would only wait for each other."""
    given = environment.get("OPENBLAS_NUM_THREADS", "1")
    if given == "1":
        return []
    return [
        warn("OPENBLAS_NUM_THREADS", f"{given}: the products are small, threads wait for each other", "leave it unset")
    ]


def clock_finding(*, synchronised: bool | None) -> Finding:
    """Judge the clock: certificates, webhooks' signatures and tokens of bots depend on it."""
    check = "clock"
    if synchronised is None:
        return ok(check, "this system does not say whether it is right")
    if synchronised:
        return ok(check, "synchronised")
    what = "not synchronised: certificates and signatures are judged by it"
    return warn(check, what, "run chrony or systemd-timesyncd, on the host if this is a container")


def clock_is_synchronised() -> bool | None:
    """Whether the kernel holds its clock to be right; None where it does not say."""
    timex = ctypes.create_string_buffer(512)  # struct timex, modes = 0: change nothing
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def read_quota(path: Path = _CPU_MAX) -> float | None:
    """Return how many cores the control group may use; None without a limit."""
    words = (_text(path) or "").split()
    if len(words) != 2 or words[0] == "max":
        return None
    return int(words[0]) / int(words[1])


def _files_needed(settings: Settings) -> int:
    """Return the files of the process that has most: one of a worker or, without workers, the only one."""
    of_calls = settings.sip.max_calls * (3 if settings.rtp.mode == "ports" else 1)
    of_control = settings.sip.max_connections + (HttpLimits().connections if settings.api.enabled else 0)
    return _OTHER_FILES + (max(of_calls, of_control) if settings.workers else of_calls + of_control)


def _number(path: Path) -> int | None:
    text = (_text(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
