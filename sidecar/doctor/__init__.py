"""Checks of a configuration and of the machine it is to run on, before calls come."""

from sidecar.doctor.examine import examine
from sidecar.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
