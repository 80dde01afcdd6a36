"""G.711 and G.722 on the test sequences of the ITU-T's Software Tool Library, G.191, to the last bit.

The sequences have a licence of their own, so they are not here: `make itu ITU_STL=...` says where a copy of
https://github.com/openitu/STL lies, and runs this.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rtp import Codec
from rtp.g711 import decode_one, encode_one
from rtp.g722 import G722Decoder, G722Encoder

LIBRARY = Path(os.environ.get("ITU_STL", ""))
FRAME, PACKET = 320, 160

pytestmark = pytest.mark.skipif("ITU_STL" not in os.environ, reason="ITU_STL does not say where the sequences are")


def words(name: str) -> npt.NDArray[np.int16]:
    return np.fromfile(LIBRARY / "src" / name, "<i2")


@pytest.mark.parametrize(("codec", "law"), [(Codec.PCMU, "u"), (Codec.PCMA, "a")])
def test_g711(codec: Codec, law: str) -> None:
    samples, codes = words("g711/test_data/sweep.src"), words(f"g711/test_data/sweep-r.{law}").astype(np.uint8)
    assert len(np.unique(samples)) == 1 << 16
    assert encode_one(samples, codec) == codes.tobytes()
    assert (decode_one(codes.tobytes(), codec) == words(f"g711/test_data/sweep-r.re{law}")).all()


def test_g722() -> None:
    speech, codes = words("g722/test_data/inpsp.bin"), words("g722/test_data/codspw.cod").astype(np.uint8)
    encoder, decoder = G722Encoder(), G722Decoder()
    whole = len(speech) // FRAME * FRAME  # all that is sent has whole frames
    encoded = b"".join(encoder.encode(frame) for frame in speech[:whole].reshape(-1, FRAME))
    assert encoded == codes[: whole // 2].tobytes()
    decoded = [decoder.decode(packet.tobytes()) for packet in np.split(codes, range(PACKET, len(codes), PACKET))]
    assert (np.concatenate(decoded) == words("g722/test_data/outsp1.bin")).all()
