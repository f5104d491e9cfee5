"""SIP telephones in a real Chromium: pages with JsSIP or SIP.js, as sites use them, told what to do in a test's words.

Both come from npm and are bundled once into a folder that is kept. A machine without a sound card has no microphone:
each page speaks a tone of its own, made by WebAudio, and hears through the browser's own analyser.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from playwright.sync_api import Browser, Page, sync_playwright

from tests.peers.chromium import SPEAK_A_TONE, launch
from tests.peers.patience import SLACK, until
from tests.peers.process import kept_folder, require, unavailable

__all__ = ["Library", "SipBrowser", "SipPage"]

Library = Literal["jssip", "sipjs"]

_PACKAGES = ("jssip@3.13.8", "sip.js@0.21.2", "esbuild@0.28.2")
_ENTRY = """\
import JsSIP from 'jssip';
import * as SIP from 'sip.js';
window.libraries = { JsSIP, SIP };
"""

# What every page has besides its voice: an ear, and a memory. `hears` is the share of the sound's power within 25 Hz.
_COMMON = """
() => {
  const context = new AudioContext();
  const test = (window.test = { registered: false, state: '', rings: 0, reason: '', held: false, stream: null });
  test.listens = (stream) => {
    test.stream = stream;
    // Without an element that plays it, nothing is decoded.
    const audio = new Audio();
    audio.srcObject = stream;
    audio.play();
    test.audio = audio;
    test.analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(test.analyser);
  };
  test.hears = (wanted) => {
    if (!test.analyser) return 0;
    const levels = new Float32Array(test.analyser.frequencyBinCount);
    test.analyser.getFloatFrequencyData(levels);
    const width = context.sampleRate / 8192;
    let near = 0, all = 0;
    levels.forEach((level, index) => {
      const power = 10 ** (level / 10);
      if (index * width < 100 || index * width > 3800) return;
      all += power;
      if (Math.abs(index * width - wanted) < 25) near += power;
    });
    return all > 1e-9 ? near / all : 0;
  };
}
"""

_JSSIP = """
([server, user, password]) => {
  const { JsSIP } = window.libraries;
  const test = window.test;
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(server)], uri: `sip:${user}@localhost`, password,
    connection_recovery_min_interval: 1,
  });
  const how = { mediaConstraints: { audio: true, video: false }, pcConfig: { iceServers: [] } };
  ua.on('registered', () => (test.registered = true));
  ua.on('unregistered', () => (test.registered = false));
  ua.on('registrationFailed', ({ cause }) => (test.reason = cause));
  ua.on('disconnected', () => (test.registered = false));
  ua.on('newRTCSession', ({ session, originator }) => {
    test.session = session;
    test.reason = '';
    test.state = originator === 'remote' ? 'ringing' : 'calling';
    if (originator === 'remote') test.rings += 1;
    const track = (connection) => connection.addEventListener('track', ({ streams }) => test.listens(streams[0]));
    if (session.connection) track(session.connection);
    session.on('peerconnection', ({ peerconnection }) => track(peerconnection));
    session.on('progress', () => { if (originator === 'local') test.state = 'hears ringing'; });
    session.on('confirmed', () => (test.state = 'talking'));
    for (const over of ['ended', 'failed']) {
      session.on(over, ({ cause, originator: by }) => { test.state = 'over'; test.reason = `${cause} by ${by}`; });
    }
  });
  test.ua = ua;
  test.dials = (number) => ua.call(`sip:${number}@localhost`, how);
  test.answers = () => test.session.answer(how);
  test.refuses = () => test.session.terminate({ status_code: 486 });
  test.hangsUp = () => test.session.terminate();
  test.presses = (keys) => test.session.sendDTMF(keys);
  test.holds = (on) => new Promise((done) => (on ? test.session.hold({}, done) : test.session.unhold({}, done)));
  test.unregisters = () => ua.unregister();
  test.loses = () => ua._transport.socket._ws.close();
  ua.start();
}
"""

_SIPJS = """
async ([server, user, password]) => {
  const { SIP } = window.libraries;
  const test = window.test;
  const simple = new SIP.Web.SimpleUser(server, {
    aor: `sip:${user}@localhost`,
    media: { constraints: { audio: true, video: false } },
    reconnectionAttempts: 20, reconnectionDelay: 1,
    userAgentOptions: {
      authorizationUsername: user, authorizationPassword: password,
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
      logLevel: 'error',
    },
  });
  simple.delegate = {
    onRegistered: () => (test.registered = true),
    onUnregistered: () => (test.registered = false),
    onServerDisconnect: () => (test.registered = false),
    onServerConnect: () => { if (test.state !== '') simple.register(); },
    onCallCreated: () => { if (test.state !== 'ringing') test.state = 'calling'; },
    onCallReceived: () => { test.state = 'ringing'; test.rings += 1; },
    onCallAnswered: () => { test.listens(simple.remoteMediaStream); test.state = 'talking'; },
    onCallHangup: () => { test.state = 'over'; },
  };
  test.dials = (number) => simple.call(`sip:${number}@localhost`, {}, {
    requestDelegate: {
      onProgress: () => (test.state = 'hears ringing'),
      onReject: ({ message }) => (test.reason = String(message.statusCode)),
    },
  });
  test.answers = () => simple.answer();
  test.refuses = () => simple.decline();
  test.hangsUp = () => simple.hangup();
  test.presses = (keys) => simple.session.sessionDescriptionHandler.sendDtmf(keys);
  test.holds = (on) => (on ? simple.hold() : simple.unhold());
  test.unregisters = () => simple.unregister();
  test.loses = () => simple.sessionManager.userAgent.transport._ws.close();
  await simple.connect();
  await simple.register();
}
"""

_CLEARLY = 0.7


@cache
def _bundle() -> Path:
    """Both libraries as one script, made once and kept; without npm the test is skipped, or fails in CI."""
    folder = kept_folder() / "_".join(_PACKAGES)
    made = folder / "libraries.js"
    if made.is_file():
        return made
    npm = require("npm", package="npm")
    # Several test processes may do this at once: whoever is last wins, with the same.
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    (work / "package.json").write_text("{}")
    (work / "entry.js").write_text(_ENTRY)
    install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *_PACKAGES]
    bundle = ["node_modules/.bin/esbuild", "entry.js", "--bundle", "--format=iife", "--outfile=libraries.js"]
    for command in (install, bundle):
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode:
            shutil.rmtree(work, ignore_errors=True)
            unavailable(f"{' '.join(command[:2])}: {done.stderr[-500:]}")
    folder.mkdir(exist_ok=True)
    (work / "libraries.js").replace(made)
    shutil.rmtree(work, ignore_errors=True)
    return made


class SipBrowser:
    """Owns a Chromium, in which each telephone is a page with storage of its own."""

    def __init__(self) -> None:
        self._script = _bundle()
        self._playwright = sync_playwright().start()
        self._chromium: Browser = launch(self._playwright)

    def page(self, library: Library, user: str, password: str, *, url: str, tone: int) -> SipPage:
        """A telephone that registers at ``url`` (http or https)."""
        page = self._chromium.new_context(ignore_https_errors=True).new_page()
        telephone = SipPage(user, page, tone)
        # Any page of the server's origin will do; this one has no script of its own.
        page.goto(f"{url}/none")
        page.add_script_tag(path=self._script)
        page.evaluate(SPEAK_A_TONE, tone)
        page.evaluate(_COMMON)
        server = url.replace("http", "ws", 1) + "/sip"
        page.evaluate(_JSSIP if library == "jssip" else _SIPJS, [server, user, password])
        return telephone

    def close(self) -> None:
        self._chromium.close()
        self._playwright.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SipPage:
    """One telephone with one call at a time. Waits where any telephone of the tests would."""

    def __init__(self, user: str, page: Page, tone: int) -> None:
        self.user = user
        self.page = page
        self.tone = tone
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))

    # What it is told to do. -------------------------------------------------------------------------------

    def dials(self, number: str) -> None:
        self._does("test.dials", number)

    def answers(self) -> None:
        self._does("test.answers")
        self.is_connected()

    def refuses(self) -> None:
        self._does("test.refuses")

    def hangs_up(self) -> None:
        self._does("test.hangsUp")

    def presses(self, keys: str) -> None:
        self._does("test.presses", keys)

    def holds(self) -> None:
        self._does("test.holds", True)

    def retrieves(self) -> None:
        self._does("test.holds", False)

    def unregisters(self) -> None:
        self._does("test.unregisters")

    def loses_connection(self) -> None:
        """The WebSocket breaks; the library makes another."""
        self.page.evaluate("() => { test.registered = false; test.loses(); }")

    def closes(self) -> None:
        """Closes the tab."""
        self.page.close()

    # What it must see and hear. ---------------------------------------------------------------------------

    def is_registered(self) -> None:
        self._until(lambda: self._is("test.registered"), "is not registered")

    def rings(self) -> None:
        self._until(lambda: self._is("test.state === 'ringing'"), "does not ring")

    def hears_ringing(self) -> None:
        self._until(lambda: self._is("test.state === 'hears ringing'"), "does not hear it ring")

    def is_connected(self) -> None:
        self._until(lambda: self._is("test.state === 'talking'"), "is not connected")

    def is_over(self) -> None:
        self._until(lambda: self._is("test.state === 'over'"), "is not hung up")

    @property
    def reason(self) -> str:
        """Why the call is over, in the library's words."""
        return str(self.page.evaluate("test.reason"))

    def hears(self, hz: int) -> None:
        self._until(lambda: self.page.evaluate("(hz) => test.hears(hz)", hz) > _CLEARLY, f"does not hear {hz} Hz")

    def does_not_hear(self, hz: int) -> None:
        self._until(lambda: self.page.evaluate("(hz) => test.hears(hz)", hz) < 0.05, f"still hears {hz} Hz")

    def _does(self, what: str, *arguments: object) -> None:
        # Not waited for: what comes of it is seen.
        self.page.evaluate(f"(given) => {{ {what}(...given); }}", list(arguments))

    def _is(self, what: str) -> bool:
        return bool(self.page.evaluate(what))

    def _until(self, done: Callable[[], Any], trouble: str) -> None:
        until(done, lambda: f"{self.user} {trouble}: {self._about()}", within=SLACK)

    def _about(self) -> str:
        if self.page.is_closed():
            return "the page is closed"
        about = self.page.evaluate("({registered: test.registered, state: test.state, reason: test.reason})")
        return f"{about}; {self.said[-8:]}"
