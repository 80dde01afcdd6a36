"""The health check of the image: exit code 0 if REST says that the sidecar lives, else 1."""

import http.client
import os
import ssl
import sys


def ask(connection: http.client.HTTPConnection) -> int:
    """Return the status."""
    connection.request("GET", "/healthz")
    return connection.getresponse().status


there = ("127.0.0.1", int(os.environ.get("SIDECAR_API__PORT", "8080")))
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is this container's, and is told nothing
try:
    try:
        if "SIDECAR_API__TLS_CERTIFICATE" in os.environ:
            raise ConnectionError("it would not answer in the clear")
        status = ask(http.client.HTTPConnection(*there, timeout=1))
    except (ConnectionError, http.client.BadStatusLine):  # a file of settings may name a certificate, too
        status = ask(http.client.HTTPSConnection(*there, timeout=1, context=context))
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"healthz: {error}")
sys.exit(None if status == http.HTTPStatus.OK else f"healthz: {status}")
