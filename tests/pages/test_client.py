"""rtc-client.js by itself: what pages that are not ours do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from gateway.call import CallEnded
from gateway.rtc.errors import INVITATION_ERRORS
from gateway.rtc.notifications import ENDINGS, NOTIFICATIONS
from gateway.rtc.requests import REQUESTS
from tests.pages.stand import HELLO_HZ, PASSWORD, Stand
from tests.peers.patience import until

pytestmark = [pytest.mark.peer, pytest.mark.timeout(180)]

Open = Callable[..., BrowserContext]

_BEGIN = """async ([user, password]) => {
  const rtc = await import('/rtc-client.js');
  const { fetchToken } = await import('/tokens.js');
  const client = new rtc.RtcClient({ token: () => fetchToken({ user, password }) });
  const seen = [];
  for (const type of ['state', 'presence', 'message']) {
    client.addEventListener(type, (event) => seen.push({ type, ...event.detail }));
  }
  client.addEventListener('call', (event) => { globalThis.incoming = event.detail; });
  Object.assign(globalThis, { rtc, client, seen, fetchToken });
  await client.connect();
}"""

_STATISTICS = "() => call.addEventListener('statistics', (event) => { globalThis.statistics = event.detail; })"

_UNTIL = """async ([what, within]) => {
  const happens = new Function('return ' + what);
  for (const end = performance.now() + within; performance.now() < end; ) {
    if (happens()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('not in time: ' + what);
}"""


class Program:
    """A page that uses the module and shows nothing."""

    def __init__(self, context: BrowserContext, url: str, user: str) -> None:
        self.page: Page = context.new_page()
        # Any page of the gateway's own will do: it is its origin that counts.
        self.page.goto(f"{url}/call")
        self.page.evaluate(_BEGIN, [user, PASSWORD])

    def does(self, script: str, *arguments: Any) -> Any:
        return self.page.evaluate(script, list(arguments))

    def waits(self, what: str, within: float = 20_000) -> None:
        self.page.evaluate(_UNTIL, [what, within])

    def fails(self, script: str) -> str:
        """The code of the RtcError that the script throws."""
        wrapped = (
            f"async () => {{ try {{ await ({script})(); }} catch (error) {{ return error.code; }} return 'none'; }}"
        )
        code = self.page.evaluate(wrapped)
        assert isinstance(code, str)
        return code


Make = Callable[[str], Program]


@pytest.fixture
def program(stand: Stand, open_context: Open) -> Make:
    return lambda user: Program(open_context(), stand.url, user)


def test_who_one_is(program: Make) -> None:
    alice = program("alice")
    assert alice.does("() => [client.state, client.user, client.name]") == ["online", "alice", "Alice"]
    assert alice.does("() => client.rights")["be_called"] is True


def test_presence_and_messages(program: Make) -> None:
    alice = program("alice")
    assert alice.does("() => client.subscribe('bob', 'carol')") == {"bob": "offline", "carol": "offline"}
    bob = program("bob")
    alice.waits("seen.some((s) => s.type === 'presence' && s.user === 'bob' && s.state === 'online')")
    bob.does("() => client.sendMessage('alice', { Cmd: 'Hello' })")
    alice.waits("""seen.some((s) => s.type === 'message' && s.from === 'bob' && s.text === '{"Cmd":"Hello"}')""")
    assert bob.fails("() => client.sendMessage('carol', 'x')") == "peer_offline"
    assert bob.fails("() => client.sendMessage('alice', 'x'.repeat(40000))") == "too_long"
    alice.does("() => client.unsubscribe('bob')")
    bob.does("() => client.close()")
    assert bob.does("() => client.state") == "offline"
    assert bob.fails("() => client.sendMessage('alice', 'x')") == "logged_out"


def test_subscriptions_and_messages_survive_a_dip(stand: Stand, program: Make) -> None:
    alice, bob = program("alice"), program("bob")
    alice.does("() => client.subscribe('bob')")
    stand.relay.cut()
    alice.waits("client.state === 'reconnecting'")
    bob.waits("client.state === 'reconnecting'")
    bob.does(
        """() => {
          globalThis.sent = 0;
          for (let i = 0; i < 20; i++) client.sendMessage('alice', `n${i}`).then(() => sent++);
        }"""
    )
    stand.relay.mend()
    bob.waits("sent === 20")
    got = alice.does("() => seen.filter((s) => s.type === 'message').map((s) => s.text)")
    assert got == [f"n{i}" for i in range(20)]
    bob.does("() => client.close()")
    alice.waits("seen.some((s) => s.type === 'presence' && s.state === 'offline')")


def test_a_stale_token_is_replaced_once(stand: Stand, open_context: Open) -> None:
    page = open_context().new_page()
    page.goto(f"{stand.url}/call")
    outcome = page.evaluate(
        """async (password) => {
          const { RtcClient } = await import('/rtc-client.js');
          const { fetchToken } = await import('/tokens.js');
          let asked = 0;
          const stale = () => (asked++ ? fetchToken({ user: 'alice', password }) : 'stale');
          const client = new RtcClient({ token: stale });
          await client.connect();
          client.close();
          const hopeless = new RtcClient({ token: () => { asked++; return 'stale'; } });
          const error = await hopeless.connect().catch((e) => e);
          return [asked, error.code, hopeless.state];
        }""",
        PASSWORD,
    )
    assert outcome == [4, "token_invalid", "offline"]


def test_after_a_long_outage_a_fresh_token_is_fetched(stand: Stand, program: Make) -> None:
    alice = program("alice")
    stand.relay.cut()
    alice.waits("client.state === 'reconnecting' && client._tries > 2")
    # As after the grace period, and the lifetime of the token.
    alice.does("() => { client._session = ''; client._token = 'stale'; }")
    stand.relay.mend()
    alice.waits("client.state === 'online'")
    assert alice.does("() => client._token !== 'stale'")


def test_the_tone_of_the_gateway_is_heard_and_the_microphone_too(stand: Stand, program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1000'); }")
    alice.waits("call.accepted && call.connected")
    peak = alice.does(
        """async () => {
          const context = new AudioContext();
          const analyser = new AnalyserNode(context, { fftSize: 8192 });
          context.createMediaStreamSource(call.audio.srcObject).connect(analyser);
          const spectrum = new Float32Array(analyser.frequencyBinCount);
          for (let i = 0; i < 200; i++) {
            await new Promise((resolve) => setTimeout(resolve, 50));
            analyser.getFloatFrequencyData(spectrum);
            const loudest = spectrum.indexOf(Math.max(...spectrum));
            if (spectrum[loudest] > -50) return (loudest * context.sampleRate) / analyser.fftSize;
          }
          return 0;
        }"""
    )
    assert peak == pytest.approx(HELLO_HZ, abs=10)
    assert alice.does("() => call.audio.muted") is False
    # The fake microphone beeps every second.
    alice.does(_STATISTICS)
    alice.waits("globalThis.statistics")
    alice.does("() => call.hangUp()")
    leg = stand.takes().hears(CallEnded).legs[0]
    assert leg.packets_received > 50
    assert leg.hangup_by == "remote"


def test_early_media_is_heard_before_the_answer(program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1004'); }")
    alice.waits("call.earlyMedia && call.connected")
    assert alice.does("() => [call.accepted, call.audio.muted]") == [False, False]
    alice.does(_STATISTICS)
    alice.waits("globalThis.statistics?.mos > 1")
    alice.does("() => call.cancel()")
    assert alice.does("() => [call.isOver, call.state, call.outcome]") == [True, "cancelled", "cancelled"]


def test_ice_is_restarted_and_the_sound_goes_on(stand: Stand, program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1000'); }")
    alice.waits("call.connected")
    ufrag = "/ice-ufrag:(.*)/.exec(call._peer.remoteDescription.sdp)[1]"
    before = alice.does(f"() => {ufrag}")
    # As the browser tells when the computer has changed its network.
    alice.does("() => { globalThis.dispatchEvent(new Event('online')); }")
    alice.waits(f"{ufrag} !== '{before}' && call._peer.signalingState === 'stable'")
    alice.waits("call.connected && call._peer.iceConnectionState !== 'checking'")
    alice.does(_STATISTICS)
    alice.waits("globalThis.statistics?.mos > 1")
    alice.does("() => call.sendKeys('99')")
    until(lambda: stand.keys == ["9", "9"], lambda: f"keys came: {stand.keys}")
    # Once is enough.
    assert alice.does("() => [call._restartWanted, call.error]") == [False, None]


def test_what_both_sides_know_of_an_invitation(program: Make) -> None:
    alice, bob = program("alice"), program("bob")
    alice.does("() => { globalThis.call = client.invite('bob', { content: { UserData: 'x' } }); }")
    bob.waits("globalThis.incoming")
    alice.waits("call.ringing")
    assert alice.does("() => call.getState()") == {"state": "received_by_remote", "remote": "received", "over": False}
    assert bob.does("() => incoming.getState()")["state"] == "received"
    assert bob.does("() => [incoming.incoming, incoming.peer, incoming.name]") == [True, "alice", "Alice"]
    bob.does("() => incoming.accept()")
    alice.waits("call.accepted")
    bob.waits("incoming.accepted && incoming.connected")
    assert bob.fails("() => incoming.accept()") == "wrong_state"
    bob.does("() => incoming.hangUp()")
    alice.waits("call.isOver")
    assert alice.does("() => call.outcome") == "hangup"
    assert bob.does("() => incoming.outcome") == "own_hangup"


def test_busy_takes_out_one_device_only(program: Make) -> None:
    first, second, bob = program("alice"), program("alice"), program("bob")
    bob.does("() => { globalThis.call = client.invite('alice'); }")
    first.waits("globalThis.incoming")
    second.waits("globalThis.incoming")
    first.does("() => incoming.refuse('busy')")
    assert second.does("() => incoming.isOver") is False
    second.does("() => incoming.refuse('busy')")
    bob.waits("call.isOver")
    assert bob.does("() => [call.outcome, call.status]") == ["busy", 486]


def test_mistakes_of_the_page_are_errors_with_codes(program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1000', { content: 'x'.repeat(9000) }); }")
    alice.waits("call.isOver")
    assert alice.does("() => [call.outcome, call.error.code]") == ["too_long", "too_long"]
    assert "8192" in alice.does("() => call.error.message")
    alice.does("() => { globalThis.call = client.invite('1000'); }")
    alice.waits("call.connected")
    assert alice.fails("() => call.sendKeys('x')") == "bad_field"
    assert alice.fails("() => call.accept()") == "wrong_state"
    assert alice.fails("() => call.refuse()") == "wrong_state"
    assert alice.fails("() => client.connect()") == "wrong_state"


def test_a_call_given_up_before_the_gateway_named_it(stand: Stand, program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1001'); return call.cancel(); }")
    assert alice.does("() => [call.isOver, call.outcome]") == [True, "cancelled"]
    alice.does("() => { globalThis.late = client.invite('1001'); }")
    alice.waits("late.state === 'sent_to_remote' || late.id")
    alice.does("() => late.cancel()")
    until(lambda: all(owned.has(CallEnded) for owned in list(stand.exchange.owned)), "a call nobody wants rings on")


def test_the_microphone_is_given_back(program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1000'); }")
    alice.waits("call.connected")
    alice.does("() => { globalThis.track = call._track; return call.hangUp(); }")
    assert alice.does("() => track.readyState") == "ended"
    assert alice.does("() => client.calls.size") == 0


def test_another_microphone_in_a_call(program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1000'); }")
    alice.waits("call.connected")
    microphones = alice.does("async () => (await rtc.audioDevices()).microphones.map((each) => each.deviceId)")
    assert len(microphones) > 1, "Chromium's fake microphones"
    used = "() => call._sender().track.getSettings().deviceId"
    for wanted in microphones[-2:]:
        alice.does("([wanted]) => client.setMicrophone(wanted)", wanted)
        assert alice.does(used) == wanted
    alice.does("() => client.setMicrophone('one that was unplugged')")
    assert alice.does("() => call.connected && call._sender().track.readyState") == "live"


def test_the_site_logs_a_user_out(stand: Stand, program: Make) -> None:
    alice = program("alice")
    alice.does("() => { globalThis.call = client.invite('1000'); }")
    alice.waits("call.connected")
    clients = stand.exchange.gateway._clients
    assert clients is not None
    stand.exchange.do(lambda: clients._agent.log_out("alice"))
    stand.exchange.do(stand.exchange.gateway.pump)
    alice.waits("client.state === 'offline' && call.isOver")
    assert alice.does("() => seen.at(-1).error.code") == "logged_out"
    expect(alice.page.locator("body")).to_be_visible()


def test_every_word_of_the_protocol_is_known(program: Make) -> None:
    """What the gateway can say of a call has words, and what the module asks for exists."""
    alice = program("alice")
    source = alice.does("async () => (await fetch('/rtc-client.js')).text()")
    asked = {name for name in REQUESTS if f"'{name}'" in source}
    assert asked == set(REQUESTS)
    assert {name for name in NOTIFICATIONS if f"'{name}'" in source} == set(NOTIFICATIONS)
    words = alice.does(
        """async ([outcomes]) => {
          const { outcomeWords } = await import('/words.js');
          const unknown = outcomeWords({ outcome: '?', incoming: false });
          return outcomes.filter((outcome) => outcomeWords({ outcome, incoming: false }) === unknown);
        }""",
        [*ENDINGS, *INVITATION_ERRORS],
    )
    assert set(words) == {"failed", "not_logged_in", "accept_failed"}
