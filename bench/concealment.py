"""How loss sounds: our concealment against silence and repetition, on speech.

    python bench/concealment.py [speech.wav ...]

Without a file, espeak-ng (from the system's packages) speaks. Each 20 ms packet is lost by chance, alike for all ways.
The signal-to-noise ratio is of the lost parts alone; the log-spectral distance too. PESQ (ITU-T P.862) is of the
whole, if the package `pesq` is installed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from rtp import Codec, Pcm, Resampler
from rtp.concealment import HISTORY_MS, Concealment
from rtp.g711 import decode_one, encode_one

RATE, FRAME = 8000, 160
LOSSES = (0.01, 0.03, 0.05, 0.10)
SEEDS = range(12)
VOICES = ("en-us", "en-gb+f3", "de+m3", "fr+f2", "es+m1", "it+f4")
TEXT = (
    "Good morning, you are speaking with the service desk. How may I help you today? "
    "Please tell me your customer number, and the reason for your call. One moment, I will look that up for you."
)

Way = Callable[[Pcm, NDArray[np.bool_]], Pcm]


def silence(said: Pcm, lost: NDArray[np.bool_]) -> Pcm:
    """Leave holes."""
    return np.where(np.repeat(lost, FRAME), 0, said).astype(np.int16)


def repeat(said: Pcm, lost: NDArray[np.bool_]) -> Pcm:
    """Repeat the last packet, fading within 60 ms."""
    heard, last, already = said.copy(), np.zeros(FRAME, np.int16), 0
    for at in range(len(lost)):
        part = slice(at * FRAME, (at + 1) * FRAME)
        if lost[at]:
            heard[part] = last * np.maximum(480 - already - np.arange(FRAME), 0) // 480
            already += FRAME
        else:
            last, already = said[part], 0
    return heard


def ours(said: Pcm, lost: NDArray[np.bool_]) -> Pcm:
    """Go on by the period, as `ReceiveStream` does."""
    heard, now = said.copy(), None
    for at in range(len(lost)):
        begin, end = at * FRAME, (at + 1) * FRAME
        if lost[at]:
            if now is None:
                now = Concealment(heard[max(0, begin - HISTORY_MS * RATE // 1000) : begin], RATE)
            heard[begin:end] = now.take(FRAME)
        elif now is not None:
            heard[begin:end] = now.join(said[begin:end])
            now = None
    return heard


def snr_db(said: Pcm, heard: Pcm, where: NDArray[np.bool_]) -> float:
    """Return the signal-to-noise ratio of the lost parts."""
    signal, error = said[where].astype(float), (said.astype(float) - heard)[where]
    return float(10 * np.log10((signal**2).sum() / max((error**2).sum(), 1.0)))


def spectral_distance_db(said: Pcm, heard: Pcm, lost: NDArray[np.bool_]) -> float:
    """Return the mean log-spectral distance of 32 ms windows around what is lost, where there is speech."""
    window, size = np.hanning(256), 256
    distances = []
    for at in np.flatnonzero(lost).tolist():
        begin = max(0, at * FRAME - (size - FRAME) // 2)
        a, b = said[begin : begin + size].astype(float), heard[begin : begin + size].astype(float)
        if len(a) < size or np.sqrt(np.mean(a**2)) < 100:
            continue
        x, y = (10 * np.log10(np.abs(np.fft.rfft(window * part)) ** 2 + 1e4) for part in (a, b))
        distances.append(np.sqrt(np.mean((x - y) ** 2)))
    return float(np.mean(distances))


def speech(paths: list[str]) -> list[Pcm]:
    """Return speech at 8 kHz."""
    if paths:
        return [_read(Path(path)) for path in paths]
    spoken = []
    with tempfile.TemporaryDirectory() as directory:
        for voice in VOICES:
            path = Path(directory) / "speech.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), TEXT], check=True)
            spoken.append(_read(path))
    return spoken


def _read(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 1
        rate, pcm = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    if rate % RATE:  # to 24 kHz first, well enough for speech
        samples = len(pcm) * 24000 // rate
        pcm = np.interp(np.arange(samples) * rate / 24000, np.arange(len(pcm)), pcm).astype(np.int16)
        rate = 24000
    frames = pcm[: len(pcm) // (rate // 50) * (rate // 50)].reshape(-1, 1, rate // 50)
    resampler = Resampler(rate, RATE, rows=1)
    narrow = np.concatenate([resampler.process(np.array([0]), frame)[0] for frame in frames])
    return decode_one(encode_one(narrow, Codec.PCMU), Codec.PCMU)


def main() -> None:
    """Print the table."""
    pesq = None
    if importlib.util.find_spec("pesq"):
        from pesq import pesq
    ways: dict[str, Way] = {"silence": silence, "repeat": repeat, "ours": ours}
    spoken = speech(sys.argv[1:])
    print("| loss | way | SNR of the lost, dB | log-spectral distance, dB | PESQ |\n|---|---|---|---|---|")
    for loss in LOSSES:
        for name, way in ways.items():
            figures = []
            for said in spoken:
                said = said[: len(said) // FRAME * FRAME]
                for seed in SEEDS:
                    lost = np.random.default_rng(seed).random(len(said) // FRAME) < loss
                    lost[:10] = False
                    if not lost.any():
                        continue
                    heard = way(said, lost)
                    figures.append(
                        (
                            snr_db(said, heard, np.repeat(lost, FRAME)),
                            spectral_distance_db(said, heard, lost),
                            pesq(RATE, said, heard, "nb") if pesq else np.nan,
                        )
                    )
            snr, distance, quality = np.nanmean(figures, axis=0) if pesq else (*np.mean(figures, axis=0)[:2], np.nan)
            print(f"| {loss:.0%} | {name} | {snr:.1f} | {distance:.1f} | {quality:.2f} |")


if __name__ == "__main__":
    main()
