"""Writes .env for docker-compose.yml, with passwords that nobody knows yet: python3 examples/compose/make_env.py."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

NAMES = ("FREESWITCH_USER_PASSWORD", "FREESWITCH_EVENT_SOCKET_PASSWORD", "REST_TOKEN", "GRAFANA_PASSWORD")
ENV = Path(__file__).resolve().parents[2] / ".env"


def main(path: Path) -> None:
    """Write the file, for its owner alone; one that is there is left as it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{path} is there already: it is left as it is")
    with open(descriptor, "w") as file:
        file.writelines(f"{name}={secrets.token_hex(16)}\n" for name in NAMES)
    sys.stdout.write(f"{path} is written; the softphone's password is FREESWITCH_USER_PASSWORD\n")


if __name__ == "__main__":
    main(ENV)
