from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from .error import SipError, Unauthorized, WrongCredentials
from .grammar import is_token, quote, split_outside_quotes, take_quoted
from .request import Request
from .via import Address

_ALGORITHMS = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}
_NONCE_LIFE = 60.0  # seconds
_NONCES_MAX = 10_000
_COUNT = re.compile(r"[0-9a-fA-F]{8}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may call, and under which name we ask for passwords."""

    realm: str
    passwords: Mapping[str, str] = field(repr=False)  # of each user
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")  # that we take, the one we like best first (RFC 8760, 2.4)


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """Somebody has named a user, and not proved to be it: the name or the password is wrong."""

    source: Address
    username: str


def parse_authorization(value: str) -> dict[str, str]:
    """Parse the value of an Authorization header of the scheme Digest. See RFC 3261, section 20.7."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise SipError("Unknown Scheme Of Authorization")
    fields: dict[str, str] = {}
    for part in split_outside_quotes(rest, ","):
        name, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals or not is_token(name) or name.lower() in fields:
            raise SipError("Malformed Authorization")
        fields[name.lower()] = take_quoted(text)[0] if text.startswith('"') else text
    return fields


def digest_response(algorithm: str, fields: Mapping[str, str], *, password: str, method: str) -> str:
    """Return what proves the knowledge of a password, for qop "auth". See RFC 7616, section 3.4.1."""

    def digest(*parts: str) -> str:
        return _ALGORITHMS[algorithm](":".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    secret = digest(fields["username"], fields["realm"], password)
    asked = digest(method, fields["uri"])
    return digest(secret, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], asked)


class DigestGuard:
    """Asks for a password and checks it, once for each use. See RFC 8760, and RFC 3261, section 22.

    A nonce says by itself when it was made, and that we made it; only those in use are remembered.
    """

    def __init__(self, credentials: Credentials, *, random: Random) -> None:
        self._credentials = credentials
        self._random = random
        self._secret = random.getrandbits(256).to_bytes(32, "big")
        self._counts: OrderedDict[str, int] = OrderedDict()  # the highest nonce count of each nonce
        self.forgotten = 0  # nonces
        self._forgotten_at = -1  # when the newest nonce was made that is not remembered any more, in ms

    def check(self, request: Request, *, now: float) -> str:
        """Return the user; raise `Unauthorized`, with what to answer, if there is no valid proof."""
        for value in request.headers.get_all("Authorization"):
            try:
                fields = parse_authorization(value)
            except SipError:
                continue
            if fields.get("realm") == self._credentials.realm:
                return self._verify(fields, request, now)
        raise self._challenge(now)

    def _verify(self, fields: Mapping[str, str], request: Request, now: float) -> str:
        needed = ("username", "uri", "nonce", "nc", "cnonce", "response")
        algorithm = fields.get("algorithm", "MD5").upper()
        known = algorithm in self._credentials.algorithms and fields.get("qop", "").lower() == "auth"
        if not known or any(name not in fields for name in needed):  # the uri may be another: RFC 3261, section 22.4
            raise self._challenge(now)
        password = self._credentials.passwords.get(fields["username"])
        proof = digest_response(algorithm, fields, password=password or "", method=request.method)
        is_right = hmac.compare_digest(proof.encode(), fields["response"].lower().encode("utf-8", "surrogateescape"))
        if password is None or not is_right:
            again = self._challenge(now)
            raise WrongCredentials(str(again), username=fields["username"], headers=again.headers)
        if not self._is_fresh(fields["nonce"], now) or not self._counts_up(fields["nonce"], fields["nc"]):
            raise self._challenge(now, stale=True)
        return fields["username"]

    def _is_fresh(self, nonce: str, now: float) -> bool:
        """Tell whether we made the nonce, not long ago."""
        body, _, _ = nonce.rpartition("-")
        if not hmac.compare_digest(self._sign(body).encode(), nonce.encode("utf-8", "surrogateescape")):
            return False
        made = _made(nonce)
        return made > self._forgotten_at and 0 <= now - made / 1000 <= _NONCE_LIFE

    def _counts_up(self, nonce: str, count: str) -> bool:
        """Note the use of a nonce; refuse one that was there before (RFC 7616, 3.4)."""
        if not _COUNT.fullmatch(count) or int(count, 16) <= self._counts.get(nonce, 0):
            return False
        self._counts[nonce] = int(count, 16)
        self._counts.move_to_end(nonce)
        if len(self._counts) > _NONCES_MAX:
            forgotten, _ = self._counts.popitem(last=False)
            self.forgotten += 1
            self._forgotten_at = max(self._forgotten_at, _made(forgotten))  # or its proofs could be used once more
        return True

    def _challenge(self, now: float, *, stale: bool = False) -> Unauthorized:
        nonce = self._sign(f"{int(now * 1000)}-{self._random.getrandbits(64):016x}")
        again = ", stale=true" if stale else ""
        realm = quote(self._credentials.realm)
        challenges = [
            ("WWW-Authenticate", f'Digest realm={realm}, nonce="{nonce}", algorithm={name}, qop="auth"{again}')
            for name in self._credentials.algorithms
        ]
        return Unauthorized("Unauthorized", headers=challenges)

    def _sign(self, body: str) -> str:
        signature = hmac.new(self._secret, body.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()
        return f"{body}-{signature[:32]}"


def _made(nonce: str) -> int:
    """Return when a nonce of ours was made, in ms."""
    return int(nonce.partition("-")[0])
