"""The tables of G.711 against the recommendation, and the engine's own against them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gateway.media.g711 import decode_pcma, decode_pcmu, encode_pcma, encode_pcmu
from tests.media.spectrum import Samples

EVERY_BYTE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)

# Tables 2a and 1a of G.711 for positive values, on the recommendation's scale: the decision value that a segment
# begins with, the first and the last output value within it, and the character signals of these two (for A-law
# before the even bits are inverted).
MU_SEGMENTS = [
    (31, 33, 93, 0xEF, 0xE0),
    (95, 99, 219, 0xDF, 0xD0),
    (223, 231, 471, 0xCF, 0xC0),
    (479, 495, 975, 0xBF, 0xB0),
    (991, 1023, 1983, 0xAF, 0xA0),
    (2015, 2079, 3999, 0x9F, 0x90),
    (4063, 4191, 8031, 0x8F, 0x80),
]
A_SEGMENTS = [
    (64, 66, 126, 0b1010_0000, 0b1010_1111),
    (128, 132, 252, 0b1011_0000, 0b1011_1111),
    (256, 264, 504, 0b1100_0000, 0b1100_1111),
    (512, 528, 1008, 0b1101_0000, 0b1101_1111),
    (1024, 1056, 2016, 0b1110_0000, 0b1110_1111),
    (2048, 2112, 4032, 0b1111_0000, 0b1111_1111),
]
EVEN_BITS = 0x55
"""Inverted on the line (G.711 3.2)."""


@pytest.mark.parametrize(("decision", "first", "last", "code", "last_code"), MU_SEGMENTS)
def test_pcmu_segments(decision: int, first: int, last: int, code: int, last_code: int) -> None:
    assert list(decode_pcmu(bytes([code, last_code]))) == [first * 4, last * 4]
    assert list(decode_pcmu(bytes([code & 0x7F, last_code & 0x7F]))) == [-first * 4, -last * 4]
    assert encode_pcmu([decision * 4, decision * 4 - 1]) == bytes([code, code + 1])


@pytest.mark.parametrize(("decision", "first", "last", "code", "last_code"), A_SEGMENTS)
def test_pcma_segments(decision: int, first: int, last: int, code: int, last_code: int) -> None:
    code, last_code = code ^ EVEN_BITS, last_code ^ EVEN_BITS
    assert list(decode_pcma(bytes([code, last_code]))) == [first * 8, last * 8]
    assert list(decode_pcma(bytes([code & 0x7F, last_code & 0x7F]))) == [-first * 8, -last * 8]
    assert encode_pcma([decision * 8]) == bytes([code])
    assert encode_pcma([decision * 8 - 1]) != bytes([code])


@pytest.mark.parametrize(("encode", "decode"), [(encode_pcmu, decode_pcmu), (encode_pcma, decode_pcma)])
class TestBothLaws:
    def test_every_code_survives(self, encode: Callable[..., bytes], decode: Callable[[bytes], Samples]) -> None:
        sound = decode(EVERY_BYTE)
        assert (decode(encode(sound)) == sound).all()

    def test_louder_is_never_quieter(self, encode: Callable[..., bytes], decode: Callable[[bytes], Samples]) -> None:
        assert (np.diff(decode(encode(EVERY_SAMPLE)).astype(int)) >= 0).all()

    def test_both_signs_alike(self, encode: Callable[..., bytes], decode: Callable[[bytes], Samples]) -> None:
        positive = np.arange(1, 32768).astype(np.int16)
        assert (decode(encode(positive)) == -decode(encode(-positive))).all()

    def test_off_by_no_more_than_half_a_step(
        self, encode: Callable[..., bytes], decode: Callable[[bytes], Samples]
    ) -> None:
        off = np.abs(decode(encode(EVERY_SAMPLE)).astype(int) - EVERY_SAMPLE)
        assert (off <= np.abs(EVERY_SAMPLE.astype(int)) / 32 + 8).all()
