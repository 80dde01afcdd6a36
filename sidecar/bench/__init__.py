"""The bench: many calls through a sidecar of its own to a farm of bots, and what a frame of them costs.

Callers, bots and the floor are small C programs, compiled when they are needed: on one machine with the sidecar, their
work must be little beside its own (docs/adr/0013).
"""

from sidecar.bench.errors import BenchError
from sidecar.bench.figures import Figures
from sidecar.bench.plan import BenchPlan
from sidecar.bench.run import run_bench

__all__ = ["BenchError", "BenchPlan", "Figures", "run_bench"]
