from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .error import SipError
from .headers import Headers
from .message import Message
from .reason_phrase import REASON_PHRASES
from .request import Request


@dataclass(frozen=True, slots=True)
class Response(Message):
    """A response. See RFC 3261, section 7.2."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""

    @classmethod
    def answering(
        cls,
        request: Request,
        status: int,
        *,
        to_tag: str | None = None,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """Build the response to a request. See RFC 3261, section 8.2.6.

        The values of the request are copied as they were written; only a To tag is added.
        """
        copied = [("Via", via) for via in request.headers.get_list("Via")]
        for name in ("From", "To", "Call-ID", "CSeq"):
            value = request.headers.get(name)
            if name == "To" and value is not None and to_tag is not None and not _has_tag(request):
                value = f"{value};tag={to_tag}"
            if value is not None:  # it may be what was wrong with the request
                copied.append((name, value))
        timestamp = request.headers.get("Timestamp")
        if status == 100 and timestamp is not None:
            copied.append(("Timestamp", timestamp))
        if 100 < status < 300:
            copied.extend(("Record-Route", value) for value in request.headers.get_all("Record-Route"))
        all_headers = Headers.of_checked(tuple(copied)).add(headers)
        if body and "Content-Type" not in all_headers:
            all_headers = all_headers.add([("Content-Type", "application/sdp")])
        if reason is None:
            reason = REASON_PHRASES.get(status, "Unknown")
        return cls(status, " ".join(reason.replace("\x00", " ").split()), all_headers, body)

    @property
    def start_line(self) -> str:
        """The first line."""
        return f"SIP/2.0 {self.status:03} {self.reason}"


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except SipError:
        return True  # it is sent back as it came
