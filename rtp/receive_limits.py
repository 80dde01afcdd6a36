"""How long is waited for packets, and how much is made up in their place."""

from __future__ import annotations

from rtp.pcm import FRAME_MS

REORDER_WAIT = 0.060
"""Seconds that a gap may wait for its packet before it is concealed."""

PAUSE_AFTER = 0.100
"""Seconds without audio after which time goes on with noise, whether or not packets come."""

FARTHEST_AHEAD = 100
"""Packets that may be missing in a gap; beyond it the sender has restarted, and nothing is filled in."""

FARTHEST_SKIPPED = 3000
"""The same where none is waited for: a minute."""

FARTHEST_BEHIND = 100
"""Packets that one may come too late; beyond it the sender has restarted."""

LONGEST_MS = 60
"""A packet of more is ignored, unless its codec says itself how long it is."""

CONCEALMENT_LEAD = 0.200
"""Seconds by which what is filled in may run ahead of the clock: no more can be missing than time has passed."""

PAUSE_LEAD = 0.060
"""The same for pauses, of which only the timestamps tell: a sender that has set its clock has not paused."""

MOST_FRAMES = 150
"""Frames that wait to be taken, 3 s; a sender that floods is not heard beyond it."""

FILL_EVERY = FRAME_MS / 1000
"""Seconds between frames that fill a pause."""
