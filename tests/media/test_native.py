"""The engine's C by itself, under the sanitizers and the fuzzer.

A missing compiler fails when CI is set and skips otherwise. FUZZ_SECONDS lengthens the fuzzing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.media import opus
from gateway.media.srtp import find_libsrtp
from tests.media.coders import OpusCoder
from tests.media.spectrum import sine
from tests.peers.process import kept_folder

HERE = Path(__file__).parent / "native"
ENGINE = Path(__file__).parents[2] / "gateway" / "media" / "native"
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "20"))


def python_symbols(folder: Path) -> Path:
    """A source of what libsrtp's library wants of Python, which a program in C is not: its names, and nothing behind
    them. No function of libsrtp's calls them."""
    listed = subprocess.run(
        ["nm", "--dynamic", "--undefined-only", str(find_libsrtp())], check=True, text=True, stdout=subprocess.PIPE
    )
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    source = folder / "python_symbols.c"
    source.write_text("".join(f"char {name}[64];\n" for name in sorted(names) if name.lstrip("_").startswith("Py")))
    return source


def compiled(
    folder: Path, driver: str, *flags: str, links: tuple[str, ...] = (), compilers: tuple[str, ...], srtp: bool = False
) -> Path:
    """The driver and the whole engine in one program; skips, or in CI fails, without a compiler for it."""
    compiler = next(filter(None, map(shutil.which, compilers)), None)
    if compiler is None:
        words = f"needs {' or '.join(compilers)}"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    program = folder / Path(driver).stem
    warnings = ("-Wall", "-Wextra", "-Wshadow", "-Werror")
    command = [compiler, "-std=gnu11", "-g", "-O1", "-fno-omit-frame-pointer", *warnings, *flags, "-pthread"]
    sources = [HERE / driver, *engine_objects(command)]
    if srtp:
        sources.append(python_symbols(folder))
        links = (*links, "-rdynamic")
    subprocess.run([*command, "-o", program, *sources, *links, "-lm", "-ldl"], check=True)
    return program


def engine_objects(command: list[str]) -> list[Path]:
    """The engine as that command compiles it: once, and kept for as long as neither changes."""
    sources = sorted(ENGINE.glob("*.[ch]"))
    version = subprocess.run([command[0], "--version"], check=True, stdout=subprocess.PIPE).stdout
    made_of = hashlib.sha256(repr([command, version, [(each.name, each.read_bytes()) for each in sources]]).encode())
    folder = kept_folder() / f"engine-{made_of.hexdigest()[:32]}"
    if not folder.is_dir():
        # Several test processes may do this at once: whoever is last finds it made.
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=kept_folder()))
        own = [each for each in sources if each.suffix == ".c"]
        subprocess.run([*command, "-c", *own], check=True, cwd=work)
        with contextlib.suppress(OSError):
            work.rename(folder)
        shutil.rmtree(work, ignore_errors=True)
    return sorted(folder.glob("*.o"))


def run(program: Path, *arguments: str, patience_s: float) -> str:
    """What it says; a finding of a sanitizer is a failure."""
    done = subprocess.run(
        [str(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=patience_s,
        cwd=program.parent,
        env=os.environ
        | {
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "LIBSRTP": str(find_libsrtp()),
            "OPUS_LIBRARY": opus.library() or "",
        },
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def test_the_parts(tmp_path: Path) -> None:
    program = compiled(
        tmp_path,
        "test_core.c",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        links=("-Wl,--wrap=monotonic_now",),
        compilers=("clang", "gcc"),
    )
    assert "every part did what it should" in run(program, patience_s=100)


def test_secure_legs(tmp_path: Path) -> None:
    program = compiled(
        tmp_path,
        "test_srtp.c",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        links=("-Wl,--wrap=monotonic_now",),
        compilers=("clang", "gcc"),
        srtp=True,
    )
    assert "every part did what it should" in run(program, str(find_libsrtp()), patience_s=100)


def opus_library() -> str:
    path = opus.library()
    assert path is not None
    return path


def test_the_codecs(tmp_path: Path) -> None:
    program = compiled(
        tmp_path,
        "test_codecs.c",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        links=("-Wl,--wrap=monotonic_now",),
        compilers=("clang", "gcc"),
    )
    assert "every codec did what it should" in run(program, opus_library(), patience_s=100)


def test_threads(tmp_path: Path) -> None:
    program = compiled(tmp_path, "threads.c", "-fsanitize=thread", compilers=("clang", "gcc"), srtp=True)
    run(program, opus_library(), patience_s=60)


def rtp(payload_type: int, sequence: int, timestamp: int, payload: bytes, *, first: int = 0x80) -> bytes:
    return struct.pack("!BBHII", first, payload_type, sequence, timestamp, 0x1234) + payload


def step(how: int, packet: bytes) -> bytes:
    """One packet as fuzz_packets.c reads it."""
    return struct.pack("!BH", how, len(packet)) + packet


def seeds() -> dict[str, bytes]:
    return {
        name + kind: bytes([legs]) + steps for name, steps in calls().items() for kind, legs in LEGS.items()
    } | opuses()


LEGS = {"": 0b0_0100, "-g722": 0b0_0110, "-mixed": 0b1_0100}
"""How the two legs of an input are made: two bits each for their codecs, and whether they are mixed."""


def opuses() -> dict[str, bytes]:
    frames = OpusCoder().encode(sine(440, 120), 20)
    sound = b"".join(step(0, rtp(111, n + n // 3, n * 960, payload)) for n, payload in enumerate(frames))
    keys = b"".join(step(0, rtp(101, n, 9, bytes([5, 10, 0, n * 16]))) for n in range(4))
    legs = {"": 0b0_0011, "-g722": 0b0_1011, "-mixed": 0b1_0111, "-untouched": 0b0_1111}
    return {f"opus{kind}": bytes([how]) + sound + keys + sound for kind, how in legs.items()}


def calls() -> dict[str, bytes]:
    sound = b"".join(step(0, rtp(0, n, n * 160, bytes(160))) for n in range(4))
    other = b"".join(step(1, rtp(8, n, n * 160, bytes(160))) for n in range(4))
    keys = b"".join(step(0, rtp(101, n, 9, bytes([5, 10, 0, n * 16]))) for n in range(4))
    block = struct.pack("!6I", 0x1234, 7, 9, 80, 1, 2)
    sender = struct.pack("!BBHI", 0x81, 200, 12, 0x1234) + bytes(20) + block
    receiver = struct.pack("!BBHI", 0x81, 201, 7, 0x1234) + block
    bye = struct.pack("!BBHI", 0x81, 203, 1, 0x1234)
    dressed = rtp(0, 1, 1, bytes(8) + b"\xbe\xde\x00\x01" + bytes(164) + b"\x00\x00\x00\x04", first=0xB2)
    return {
        "sound": sound + other,
        "keys": keys + sound,
        "rtcp": step(2, sender) + step(2, receiver + bye),
        "multiplexed": sound + step(8, receiver),
        "dressed": step(0, dressed),
        "stranger": sound + step(4, rtp(0, 1, 1, bytes(160))) + step(16, b"") + step(4, rtp(0, 1, 1, bytes(160))),
    }


SEALED, SEALED_RTCP, NEW_KEY = 1, 3, 33


def seeds_for_ice() -> dict[str, bytes]:
    stun = step(0, struct.pack("!HHI", 1, 8, 0x2112A442) + bytes(12) + struct.pack("!HHI", 0x24, 4, 99))
    dtls = step(4, struct.pack("!BHHHIH", 22, 0xFEFD, 0, 0, 0, 12) + bytes(12))
    sound = [rtp(0, n, n * 160, bytes(160)) for n in range(4)]
    keys = b"".join(step(SEALED, rtp(101, n, 9, bytes([5, 10, 0, n * 16]))) for n in range(4))
    report = struct.pack("!BBHI", 0x81, 201, 7, 0x1234) + struct.pack("!6I", 0x1234, 7, 9, 80, 1, 2)
    sealed = b"".join(step(SEALED, packet) for packet in sound)
    dressed = rtp(0, 9, 9, bytes(8) + b"\xbe\xde\x00\x01" + bytes(164) + b"\x00\x00\x00\x04", first=0xB2)
    rekeyed = b"".join(step(NEW_KEY | n << 6, packet) for n, packet in enumerate(sound))
    return {
        "checks": stun + dtls + sealed,
        "sound": sealed + keys,
        "in the clear": b"".join(step(0, packet) for packet in sound) + step(0, report),
        "reports": sealed + step(SEALED_RTCP, report) + step(SEALED_RTCP | 8, report),
        "rekeyed": rekeyed + step(SEALED | 8, sound[0]),
        "dressed": step(SEALED, dressed),
        "far numbers": step(SEALED, rtp(0, 65535, 0, bytes(160))) + sealed + step(SEALED, rtp(0, 40000, 0, bytes(160))),
    }


# Compiling with the sanitizers takes most of a minute where other tests run beside it.
@pytest.mark.timeout(FUZZ_SECONDS + 240)
@pytest.mark.parametrize(("driver", "seeds"), [("fuzz_packets.c", seeds), ("fuzz_ice.c", seeds_for_ice)])
def test_fuzzing(tmp_path: Path, driver: str, seeds: Callable[[], dict[str, bytes]]) -> None:
    program = compiled(
        tmp_path,
        driver,
        "-fsanitize=fuzzer,address,undefined",
        "-fno-sanitize-recover=all",
        compilers=("clang",),
        srtp=True,
    )
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, data in seeds().items():
        (corpus / name).write_bytes(data)
    said = run(
        program,
        f"-max_total_time={FUZZ_SECONDS}",
        "-max_len=4096",
        "-timeout=10",
        "-print_final_stats=1",
        str(corpus),
        patience_s=FUZZ_SECONDS + 120,
    )
    print(said[-1500:])
    assert "stat::number_of_executed_units" in said
