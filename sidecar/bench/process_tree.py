"""What a process and its children use, as the kernel counts it."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path

_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """A process, and all that it has started."""

    root: int  # process id

    def cpu_seconds(self) -> float:
        """Return the CPU time of those that live, user and system."""
        return sum(_cpu_seconds(process) for process in self.members())

    def resident_kib(self) -> int:
        """Return the memory that is resident."""
        return sum(_resident_kib(process) for process in self.members())

    def members(self) -> list[int]:
        """Return the process ids."""
        children: dict[int, list[int]] = {}
        for path in Path("/proc").iterdir():
            if path.name.isdecimal():
                children.setdefault(_parent(int(path.name)), []).append(int(path.name))
        found = [self.root]
        for process in found:  # grows while it is walked
            found += children.get(process, [])
        return found


def _parent(process: int) -> int:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:  # it has ended meanwhile
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def _cpu_seconds(process: int) -> float:
    """Read the process's own clock: /proc counts in hundredths of a second."""
    clock = ctypes.c_int()
    if _libc.clock_getcpuclockid(process, ctypes.byref(clock)):
        return 0.0
    return time.clock_gettime(clock.value)


def _resident_kib(process: int) -> int:
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024
