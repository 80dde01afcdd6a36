"""Gives property tests the time they need: how long an example takes says more about the machine than the code."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
