"""The process that speaks: reads requests from its input, writes replies to its output, ends when its input ends.

A request is the size of a JSON object (4 bytes, big-endian) and the object: ``{"do": "describe", "engine": ...}``,
``{"do": "prepare", "voice": {...}}`` or ``{"do": "speak", "text": ..., "ssml": ..., "voice": {...}}``. A reply is the
sizes of a JSON object and of a body, the object and the body: PCMU for a text. The first reply comes unasked and says
that the process is ready. What fails is ``{"error": class name in ivr.speech.voice, "message": ...}``.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import struct
import sys
import threading
from typing import IO, Any

from ivr.speech.synthesis import Synthesizer, create
from ivr.speech.voice import SpeechError, Voice


def main() -> None:
    # Who presses Ctrl-C ends the program; the program ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Signalling goes first where a core is short.
    os.nice(5)
    replies = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must not get between the replies.
    os.dup2(2, 1)
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # A thread of its own, so that a process that hangs in an engine still ends with the program.
    threading.Thread(target=_read, args=(sys.stdin.buffer, requests), daemon=True).start()
    engines: dict[str, Synthesizer] = {}
    _reply(replies, {"ready": True})
    while True:
        _reply(replies, *_answer(json.loads(requests.get()), engines))


def _read(pipe: IO[bytes], requests: queue.SimpleQueue[bytes]) -> None:
    while len(size := pipe.read(4)) == 4:
        requests.put(pipe.read(struct.unpack(">I", size)[0]))
    os._exit(0)


def _answer(request: dict[str, Any], engines: dict[str, Synthesizer]) -> tuple[dict[str, Any], bytes]:
    try:
        if request["do"] == "describe":
            return {"voices": list(_engine(request["engine"], engines).voices())}, b""
        voice = Voice(**request["voice"])
        engine = _engine(voice.engine, engines)
        if request["do"] == "prepare":
            return {"version": engine.prepare(voice)}, b""
        clip = engine.render(request["text"], voice, ssml=request["ssml"])
        return {"name": clip.name}, clip.pcmu
    except SpeechError as error:
        return {"error": type(error).__name__, "message": str(error)}, b""
    except Exception as error:
        return {"error": "SpeechError", "message": f"{type(error).__name__}: {error}"}, b""


def _engine(name: str, engines: dict[str, Synthesizer]) -> Synthesizer:
    if name not in engines:
        engines[name] = create(name)
    return engines[name]


def _reply(pipe: IO[bytes], header: dict[str, Any], body: bytes = b"") -> None:
    encoded = json.dumps(header).encode()
    pipe.write(struct.pack(">II", len(encoded), len(body)) + encoded + body)
    pipe.flush()


if __name__ == "__main__":
    main()
