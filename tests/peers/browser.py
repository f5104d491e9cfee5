"""RTC clients in a real Chromium: pages that use the product's own module, told what to do in a test's words.

The module is what the server serves; the page around it does nothing. A machine without a sound card has no
microphone: each page speaks a tone of its own, made by WebAudio, and hears through the browser's own analyser. One test
speaks through Chromium's fake microphone, which plays a file.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Playwright

from tests.peers.chromium import SPEAK_A_TONE, SPEAK_WHEN_TOLD, launch
from tests.peers.patience import SLACK, until
from tests.peers.room import Room
from tests.peers.sound import Sound

__all__ = ["Browser", "Client"]

# As behind a firewall that lets nothing else through.
_RELAYED = """
() => {
  const Real = RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(settings) { super({ ...settings, iceTransportPolicy: 'relay' }); }
  };
}
"""

# What a test can ask of a page. `hears` is the share of the sound's power that lies within 25 Hz of a frequency.
_PAGE = """
async ([user, password, codec]) => {
  const { RtcClient } = await import('/rtc-client.js');
  if (codec) {
    const real = RTCRtpTransceiver.prototype.setCodecPreferences;
    const add = RTCPeerConnection.prototype.addTrack;
    RTCPeerConnection.prototype.addTrack = function (...given) {
      const sender = add.apply(this, given);
      const kinds = RTCRtpReceiver.getCapabilities('audio').codecs;
      const wanted = (one) => one.mimeType.toLowerCase() === 'audio/' + codec.toLowerCase() ||
        one.mimeType === 'audio/telephone-event';
      const line = this.getTransceivers().find((one) => one.sender === sender);
      real.call(line, kinds.filter(wanted));
      return sender;
    };
  }
  const token = async () => {
    const answer = await fetch('/rtc/token', { method: 'POST', body: JSON.stringify({ user, password }) });
    return (await answer.json()).token;
  };
  const client = new RtcClient({ token });
  const context = new AudioContext();
  const test = (window.test = { client, call: null, calls: 0, heard: [], states: [], messages: [], presence: {} });
  const follow = (call) => {
    test.call = call;
    test.calls += 1;
    test.states = [call.state];
    call.addEventListener('change', () => {
      if (test.call === call && test.states.at(-1) !== call.state) test.states.push(call.state);
    });
  };
  client.addEventListener('call', (event) => follow(event.detail));
  client.addEventListener('message', (event) => test.messages.push(event.detail));
  client.addEventListener('presence', (event) => (test.presence[event.detail.user] = event.detail.state));
  test.dial = (to, channel) => follow(client.invite(to, { channel }));
  test.hears = async (hz) => {
    const stream = test.call && test.call.audio.srcObject;
    if (!stream || !stream.getAudioTracks().length || test.call.audio.muted) return 0;
    if (test.stream !== stream) {
      test.stream = stream;
      test.analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(test.analyser);
    }
    const levels = new Float32Array(test.analyser.frequencyBinCount);
    test.analyser.getFloatFrequencyData(levels);
    const width = context.sampleRate / 8192;
    let near = 0, all = 0;
    levels.forEach((level, index) => {
      const power = 10 ** (level / 10);
      if (index * width < 100 || index * width > 3800) return;
      all += power;
      if (Math.abs(index * width - hz) < 25) near += power;
    });
    return all > 1e-9 ? near / all : 0;
  };
  await client.connect();
}
"""

_CLEARLY = 0.7
"""Of the power: the rest is what codecs add, and other tones where several are mixed."""


class Browser:
    """Owns a Chromium; each client gets a page with storage of its own."""

    def __init__(self, playwright: Playwright, *flags: str, room: Room | None = None) -> None:
        """``flags`` are Chromium's own; in a ``room`` it sees only that network."""
        self._chromium: Chromium = launch(playwright, *flags, room=room)
        self.pages: list[Client] = []

    def client(
        self,
        user: str,
        url: str,
        password: str,
        *,
        tone: int | None,
        codec: str | None = None,
        relayed: bool = False,
    ) -> Client:
        """Somebody logged in. Without a ``tone`` he speaks what the browser's own fake microphone plays; with one of
        0 Hz he is silent, and says what he is told to. With
        ``codec`` he knows no other; ``relayed``, his sound goes by a TURN server."""
        page = self._chromium.new_context(ignore_https_errors=True).new_page()
        client = Client(user, page, tone)
        self.pages.append(client)
        # Any page of the server's origin will do; this one has no script of its own.
        page.goto(f"{url}/rtc/none")
        if tone is not None:
            page.evaluate(SPEAK_A_TONE if tone else SPEAK_WHEN_TOLD, tone)
        if relayed:
            page.evaluate(_RELAYED)
        page.evaluate(_PAGE, [user, password, codec])
        return client

    def close(self) -> None:
        self._chromium.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Client:
    """One page, logged in as a user. Waits where a telephone of the tests would."""

    def __init__(self, user: str, page: Page, tone: int | None) -> None:
        self.user = user
        self.page = page
        self.tone = tone
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    # What it is told to do. -------------------------------------------------------------------------------

    def dials(self, to: str, *, channel: str | None = None) -> None:
        self.page.evaluate("([to, channel]) => test.dial(to, channel ?? undefined)", [to, channel])

    def answers(self) -> None:
        self.rings()
        self.page.evaluate("test.call.accept()")
        self.is_connected()

    def refuses(self, response: str | None = None) -> None:
        self.rings()
        self.page.evaluate("(response) => test.call.refuse(response ?? undefined)", response)

    def hangs_up(self) -> None:
        self.page.evaluate("test.call.hangUp()")

    def presses(self, keys: str) -> None:
        self.page.evaluate("(keys) => test.call.sendKeys(keys)", keys)

    def says(self, sound: Sound) -> None:
        """Say that once; does not wait until it is said."""
        with tempfile.TemporaryDirectory() as folder:
            wav = sound.write(Path(folder) / "said.wav").read_bytes()
        self.page.evaluate("(wav) => window.say(wav)", base64.b64encode(wav).decode())

    def holds(self, on: bool = True) -> None:
        self.page.evaluate("(on) => test.call.hold(on)", on)

    def closes(self) -> None:
        """Closes the tab."""
        self.page.close()

    def does(self, script: str) -> Any:
        return self.page.evaluate(script)

    # What it must see and hear. ---------------------------------------------------------------------------

    @property
    def state(self) -> str:
        return str(self.page.evaluate("test.call?.state ?? ''"))

    @property
    def outcome(self) -> str:
        return str(self.page.evaluate("test.call?.outcome ?? ''"))

    def rings(self) -> None:
        """Somebody calls here."""
        self._until(lambda: self.state == "received", "nobody calls")

    def hears_ringing(self) -> None:
        self._until(lambda: self.does("test.call.ringing"), "it does not ring over there")

    def is_connected(self) -> None:
        self._until(lambda: self.state == "accepted" and self.does("test.call.connected"), "is not connected")

    def hears(self, *hz: int) -> None:
        """These tones, each of them now and then the clearest, within a while."""
        for each in hz:
            self._hears(each, _CLEARLY / len(hz) / 2)

    def _hears(self, hz: int, share: float) -> None:
        self._until(lambda: self._share(hz) > share, f"does not hear {hz} Hz")

    def _share(self, hz: int) -> float:
        return float(self.page.evaluate("(hz) => test.hears(hz)", hz))

    def is_silent(self, hz: int) -> bool:
        return self._share(hz) < 0.05

    def local_candidate(self) -> str:
        """What the page's own end of the path of its sound is: ``host``, ``srflx``, ``prflx`` or ``relay``."""
        return str(
            self.page.evaluate(
                """async () => {
                  const all = await test.call._peer.getStats();
                  const transport = [...all.values()].find((one) => one.type === 'transport');
                  return all.get(all.get(transport.selectedCandidatePairId).localCandidateId).candidateType;
                }"""
            )
        )

    def is_over(self, outcome: str | None = None) -> None:
        self._until(lambda: self.does("test.call?.isOver ?? false"), "the call is not over")
        if outcome is not None:
            assert self.outcome == outcome, self._about()

    def _until(self, done: Callable[[], Any], trouble: str) -> None:
        until(done, lambda: f"{self.user} {trouble}: {self._about()}", within=SLACK)

    def _about(self) -> str:
        if self.page.is_closed():
            return "the page is closed"
        about = self.page.evaluate(
            "test.call && {state: test.call.state, states: test.states, outcome: test.call.outcome,"
            " connected: test.call.connected, error: test.call.error?.message, client: test.client.state}"
        )
        return f"{about}; {self.said[-5:]}"
