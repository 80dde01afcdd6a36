"""What pip installs only for who asks for it."""

from __future__ import annotations

from importlib.util import find_spec


def check_extra(name: str, *modules: str) -> None:
    """Raise ValueError if not all modules are there that an extra brings, and we import of it."""
    if not all(map(_is_there, modules)):
        raise ValueError(f"needs what `pip install 'audio-stream-sidecar[{name}]'` brings")


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False
