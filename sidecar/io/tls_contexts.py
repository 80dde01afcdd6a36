"""TLS as the options of a stream want it."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections import OrderedDict

from sidecar.core.errors import ErrorCode
from sidecar.core.options import StreamOptions
from sidecar.io.stream_error import StreamError

_MOST = 64
"""Contexts that are kept: about 200 KiB each with the system's authorities."""

_Key = tuple[str, str | None, str | None, bool, tuple[int, ...]]


class TlsContexts:
    """Makes contexts, and keeps them as long as the files they were made of are the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contexts: OrderedDict[_Key, ssl.SSLContext] = OrderedDict()
        self._usual = ssl.create_default_context()

    async def get(self, options: StreamOptions) -> ssl.SSLContext:
        """Return the context for a stream; raise `StreamError`. Files are read in a thread: a disk may be slow."""
        if (options.tls_ca_file, options.tls_cert_file) == ("SYSTEM", None):
            if not options.tls_disable_hostname_validation:
                return self._usual
        return await asyncio.to_thread(self._find, options)

    def _find(self, options: StreamOptions) -> ssl.SSLContext:
        key = _key(options)
        with self._lock:
            context = self._contexts.get(key)
            if context is None:
                context = self._contexts[key] = _make(options)
                if len(self._contexts) > _MOST:
                    self._contexts.popitem(last=False)
            self._contexts.move_to_end(key)
            return context


def _key(options: StreamOptions) -> _Key:
    """Tell contexts apart: by the options, and by when the files were last written."""
    paths = (options.tls_ca_file, options.tls_cert_file, options.tls_key_file)
    changed = []
    for path in paths:
        try:
            changed.append(os.stat(path).st_mtime_ns if path is not None else 0)
        except OSError:  # SYSTEM and NONE are no files; loading tells of all others
            changed.append(0)
    return (*paths, options.tls_disable_hostname_validation, tuple(changed))


def _make(options: StreamOptions) -> ssl.SSLContext:
    ca_file = None if options.tls_ca_file in ("SYSTEM", "NONE") else options.tls_ca_file
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise StreamError(ErrorCode.TLS_INIT_FAILED, f"tls_ca_file: {_why(error)}") from None
    if options.tls_ca_file == "NONE" or options.tls_disable_hostname_validation:
        context.check_hostname = False
    if options.tls_ca_file == "NONE":
        context.verify_mode = ssl.CERT_NONE
    if options.tls_cert_file is not None:
        try:  # a key with a pass phrase is refused: nobody is there to be asked for it
            context.load_cert_chain(options.tls_cert_file, options.tls_key_file, password=lambda: "")
        except (OSError, ValueError) as error:
            raise StreamError(ErrorCode.TLS_INIT_FAILED, f"tls_cert_file, tls_key_file: {_why(error)}") from None
    return context


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or "not a PEM file"
