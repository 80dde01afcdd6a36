from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from .error import SdpError
from .media_description import MediaDescription

KEY_LENGTHS = {  # of master key and salt together, in bytes
    "AES_CM_128_HMAC_SHA1_80": 30,  # RFC 4568, section 6.2
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,  # RFC 6188, section 3
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,  # RFC 7714, section 14.2
    "AEAD_AES_256_GCM": 44,
}
_CRYPTO = re.compile(r"([0-9]{1,9})\s+(\w+)\s+(\S+)((?:\s+\S+)*)")
_KEY = re.compile(r"inline:([A-Za-z0-9+/]+={0,2})(?:\|(?!\d+:)([0-9^]+))?(?:\|([0-9]+:[0-9]+))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Crypto:
    """The value of `a=crypto`: a cipher suite, and the key that its writer sends with. See RFC 4568, section 4."""

    tag: int
    suite: str
    key: bytes  # master key and salt
    lifetime: str | None = None
    mki: str | None = None
    parameters: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Parse the value; raise `SdpError` if it is malformed or of a suite that nobody here knows."""
        match = _CRYPTO.fullmatch(value.strip())
        key = None if match is None else _KEY.fullmatch(match[3])
        if match is None or key is None:
            raise SdpError("crypto is malformed")
        suite = match[2].upper()
        try:
            material = base64.b64decode(key[1] + "=" * (-len(key[1]) % 4), validate=True)
        except binascii.Error:
            raise SdpError("key of crypto is malformed") from None
        if KEY_LENGTHS.get(suite) != len(material):
            raise SdpError("suite of crypto is unknown, or its key of a wrong length")
        return cls(int(match[1]), suite, material, key[2], key[3], tuple(match[4].split()))

    @property
    def is_plain(self) -> bool:
        """Whether it asks for nothing that only some can do: no MKI, no session parameter that must be known."""
        optional = all(each.startswith("-") or each.upper().startswith("WSH=") for each in self.parameters)
        return self.mki is None and optional

    def __str__(self) -> str:
        lifetime = "" if self.lifetime is None else f"|{self.lifetime}"
        mki = "" if self.mki is None else f"|{self.mki}"
        parameters = "".join(f" {each}" for each in self.parameters)
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}{lifetime}{mki}{parameters}"

    def __repr__(self) -> str:  # a key is not to be seen in a log
        return f"Crypto({self.tag}, {self.suite})"


def cryptos_of(media: MediaDescription) -> list[Crypto]:
    """Return what can be read and done of the `a=crypto` lines, in order."""
    cryptos = []
    for value in media.attributes("crypto"):
        try:
            crypto = Crypto.parse(value)
        except SdpError:
            continue
        if crypto.is_plain:
            cryptos.append(crypto)
    return cryptos


def offer_cryptos(suites: Iterable[str], random: Random) -> list[Crypto]:
    """Make a key for each suite. See RFC 4568, section 7.1.1."""
    return [Crypto(tag, suite, random.randbytes(KEY_LENGTHS[suite])) for tag, suite in enumerate(suites, 1)]


def answer_crypto(
    offered: Sequence[Crypto],
    suites: Sequence[str],
    random: Random,
    *,
    in_use: tuple[Crypto, Crypto] | None = None,
) -> tuple[Crypto, Crypto] | None:
    """Take the first that we can do: our key under its tag, and theirs. See RFC 4568, section 7.1.2.

    Where they go on with the key `in_use`, so do we: neither side begins to count packets anew (section 7.1.4).
    """
    for theirs in offered:
        if theirs.suite in suites:
            if in_use is not None and (in_use[1].suite, in_use[1].key) == (theirs.suite, theirs.key):
                return replace(in_use[0], tag=theirs.tag), theirs
            return Crypto(theirs.tag, theirs.suite, random.randbytes(KEY_LENGTHS[theirs.suite])), theirs
    return None


def match_crypto(ours: Sequence[Crypto], answered: Sequence[Crypto]) -> tuple[Crypto, Crypto] | None:
    """Find which of our keys the answer took. See RFC 4568, section 7.1.3."""
    for theirs in answered:
        for own in ours:
            if (own.tag, own.suite) == (theirs.tag, theirs.suite):
                return own, theirs
    return None
