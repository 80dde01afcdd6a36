"""The health check of the image: exit code 0 if REST says that the sidecar lives, else 1."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("SIDECAR_API__PORT", "8080")), timeout=2)
try:
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"healthz: {error}")
sys.exit(None if status == http.HTTPStatus.OK else f"healthz: {status}")
