from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SipError
from .grammar import quote, take_quoted
from .parameters import NO_PARAMETERS, Parameters
from .uri import SipUri

_URI = re.compile(r'[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20<>"\x7f]+')


@dataclass(frozen=True, slots=True)
class NameAddr:
    """The value of From, To, Contact, Route or Record-Route. See RFC 3261, section 20.10.

    The URI stays text, because it may be of any scheme: a caller is often a tel URI.
    """

    uri: str
    display_name: str | None = None
    parameters: Parameters = NO_PARAMETERS

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Parse one value; without angle brackets the parameters belong to the header."""
        text = text.strip()
        display_name: str | None
        if text.startswith('"'):
            display_name, rest = take_quoted(text)
            before, bracket, rest = rest.partition("<")
            if before.strip() or not bracket:
                raise SipError("no URI in angle brackets after the display name")
        else:
            before, bracket, rest = text.partition("<")
            display_name = before.strip() or None
        if bracket:
            uri, closing, rest = rest.partition(">")
            rest = rest.strip()
            if not closing or (rest and not rest.startswith(";")):
                raise SipError("angle brackets are malformed")
        else:
            display_name = None
            uri, _, rest = text.partition(";")
        uri = uri.strip()
        if not _URI.fullmatch(uri):
            raise SipError("URI is malformed")
        return cls(uri, display_name, Parameters.parse(rest))

    @property
    def tag(self) -> str | None:
        """The tag, which tells the dialogs of one Call-ID apart."""
        return self.parameters.get("tag")

    def sip_uri(self) -> SipUri:
        """Parse the URI; raise `UnsupportedUriScheme` for a tel URI and the like."""
        return SipUri.parse(self.uri)

    def __str__(self) -> str:
        display_name = "" if self.display_name is None else quote(self.display_name) + " "
        return f"{display_name}<{self.uri}>{self.parameters}"
