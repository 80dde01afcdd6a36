"""Looks for bytes that break a target, guided by which branches they reach. Needs the extra `fuzz`.

    python -m tests.fuzz.guided parser -max_total_time=60

What is found is written to the current directory as crash-HASH: its bytes belong into a test beside what it broke.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sip"]):
    from tests.fuzz.targets import TARGETS, seeds


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz.guided {'|'.join(TARGETS)} [libFuzzer options]")
    name = sys.argv.pop(1)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(data)
        atheris.Setup([*sys.argv, corpus, "-max_len=4096", "-timeout=10"], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
