"""The encrypted calls of a `MediaPlane`: their packets are what all others' are, once they are opened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtp.payload_coding import Bytes
from rtp.pcm import Rows
from rtp.rtcp_packet import is_rtcp
from rtp.srtp import Srtp, SrtpError


@dataclass(slots=True)
class _Keys:
    present: Srtp
    former: Srtp | None = None  # whose packets may still be on their way; None once they are not


class SrtpRows:
    """Opens and closes packets, one by one: libsrtp has no batches."""

    def __init__(self) -> None:
        self._keys: dict[int, _Keys] = {}
        self._refused = Counter[int]()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def open(self, row: int) -> None:
        """Count anew for `row`: other keys, or none, are no reason to."""
        del self._refused[row]

    def set(self, row: int, srtp: Srtp | None) -> None:
        """Let `row` have other keys from now on, or none; what was encrypted with the former is still understood."""
        former = self._keys.pop(row, None)
        if srtp is None:
            return
        if former is None or former.present is srtp:
            self._keys[row] = former or _Keys(srtp)
        else:
            self._keys[row] = _Keys(srtp, former.present)

    def of(self, row: int) -> Srtp | None:
        """Return what `row` sends with; None if it is not encrypted."""
        keys = self._keys.get(row)
        return None if keys is None else keys.present

    def refused(self, row: int) -> int:
        """Return how many packets of `row` could not be opened with its keys, or had been before."""
        return self._refused[row]

    def unprotect(self, data: Bytes, lengths: NDArray[np.uint32], rows: Rows) -> NDArray[np.bool_]:
        """Decrypt in place what of uint8[n, m] is encrypted; return which rows of it are good.

        Lengths shrink. Of what comes to a row that is encrypted, nothing else is good.
        """
        good = np.ones(len(rows), np.bool_)
        for at, row in enumerate(rows.tolist()):
            keys = self._keys.get(row)
            if keys is None:
                continue
            opened = _opened(keys, data[at, : lengths[at]].tobytes())
            good[at] = opened is not None
            if opened is None:
                self._refused[row] += 1
            else:
                lengths[at] = len(opened)
                data[at, : len(opened)] = np.frombuffer(opened, np.uint8)
        return good


def _opened(keys: _Keys, packet: bytes) -> bytes | None:
    reports = is_rtcp(packet)
    for srtp in filter(None, (keys.present, keys.former)):
        try:
            opened = srtp.unprotect_rtcp(packet) if reports else srtp.unprotect(packet)
        except SrtpError:
            continue
        if srtp is keys.present:
            keys.former = None
        return opened
    return None
