"""Debian's Chromium without a screen, as all tests with pages start it; and what stands in for a microphone."""

from __future__ import annotations

from playwright.sync_api import Browser, Playwright

from tests.peers.process import require
from tests.peers.room import Room

__all__ = ["SPEAK_A_TONE", "SPEAK_WHEN_TOLD", "launch"]

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
)

SPEAK_A_TONE = """
(hz) => {
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, { frequency: hz });
    const volume = new GainNode(context, { gain: 0.3 });
    const end = new MediaStreamAudioDestinationNode(context);
    oscillator.connect(volume).connect(end);
    oscillator.start();
    return end.stream;
  };
}
"""
"""For a page: what it speaks from now on in place of a microphone, which a machine without a sound card has not."""


SPEAK_WHEN_TOLD = """
() => {
  const context = new AudioContext();
  const end = new MediaStreamAudioDestinationNode(context);
  // Silence is sent too, as by a microphone.
  new ConstantSourceNode(context, { offset: 0 }).connect(end);
  navigator.mediaDevices.getUserMedia = async () => end.stream;
  window.say = async (wav) => {
    const bytes = Uint8Array.from(atob(wav), (one) => one.charCodeAt(0));
    const sound = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(bytes.buffer) });
    sound.connect(end);
    sound.start();
  };
}
"""
"""The same, but silent until ``say`` is called with a WAV file in base64."""


def launch(playwright: Playwright, *flags: str, asks: bool = False, room: Room | None = None) -> Browser:
    """Its microphone beeps. A page may use it, unless the browser ``asks``: then its context says. In a ``room`` it
    sees that network only."""
    path = require("chromium", package="chromium")
    allowed = () if asks else ("--use-fake-ui-for-media-stream",)
    return playwright.chromium.launch(
        executable_path=path if room is None else room.program(path),
        args=[*_FLAGS, *allowed, *flags],
        timeout=60_000,
    )
