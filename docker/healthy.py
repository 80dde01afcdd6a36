"""The health check of the image: exit code 0 if REST says that the sidecar lives, else 1."""

import http.client
import os
import ssl
import sys


def ask(connection: http.client.HTTPConnection) -> str | None:
    """Say what is wrong."""
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"healthz: {error}"
    return None if status == http.HTTPStatus.OK else f"healthz: {status}"


there = ("127.0.0.1", int(os.environ.get("SIDECAR_API__PORT", "8080")))
if ask(http.client.HTTPConnection(*there, timeout=2)) is not None:  # REST may be over TLS alone; it is this container's
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sys.exit(ask(http.client.HTTPSConnection(*there, timeout=2, context=context)))
