from __future__ import annotations

import os
import subprocess
import sys
import time

from sidecar.bench.process_tree import ProcessTree


def test_children_and_their_children_count() -> None:
    up = "print(flush=True); input()"
    child_of_ours = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{up}'])"
    with subprocess.Popen(
        [sys.executable, "-c", child_of_ours], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        tree = ProcessTree(child.pid)
        assert len(tree.members()) == 2
        assert tree.resident_kib() > ProcessTree(tree.members()[1]).resident_kib() > 1000
        assert tree.cpu_seconds() > 0
        child.kill()


def test_the_clock_of_a_process_is_that_of_its_work() -> None:
    tree = ProcessTree(os.getpid())
    ours, theirs = time.process_time(), tree.cpu_seconds()
    sum(range(1_000_000))
    assert abs((time.process_time() - ours) - (tree.cpu_seconds() - theirs)) < 0.05


def test_a_process_that_is_gone_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert ProcessTree(process.pid).resident_kib() == 0
    assert ProcessTree(process.pid).cpu_seconds() == 0.0
