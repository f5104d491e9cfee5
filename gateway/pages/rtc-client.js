// Calls from a web page: the client side of the protocol ivr.rtc.1 (docs/rtc-protocol.md), and WebRTC for the sound.
// One module, no dependencies, no build step. How to use it: docs/rtc-clients.md.
// @ts-check

/**
 * @typedef {'offline' | 'connecting' | 'online' | 'reconnecting'} ConnectionState
 * @typedef {'idle' | 'sent_to_remote' | 'received_by_remote' | 'received' | 'accept_sent' | 'accepted' | 'refused'
 *   | 'cancelled' | 'failed'} InvitationState
 * @typedef {'online' | 'unreachable' | 'offline' | 'busy'} PresenceState
 * @typedef {{call_in: boolean, be_called: boolean, call_out: string[], peers: boolean}} Rights
 * @typedef {{type: string, [field: string]: any}} Message
 * @typedef {{quality: 'unknown' | 'good' | 'fair' | 'poor' | 'bad', mos: number | null, delayMs: number | null,
 *   roundTripMs: number | null, jitterMs: number | null, lossReceived: number | null, lossSent: number | null}} Statistics
 *   Losses are shares (0 to 1) of the packets since the statistics before; `mos` is an estimate by ITU-T G.107; `delayMs`
 *   is that of one way, with what waits in the jitter buffer.
 * @typedef {object} ClientOptions
 * @property {string | (() => string | Promise<string>)} token A token, or what fetches a fresh one.
 * @property {string} [url] The gateway's WebSocket; without it, /rtc where this module came from.
 * @property {string} [device] The name of this device; without it, one for this tab.
 * @property {string} [microphone] The `deviceId` to speak into.
 * @property {string} [speaker] The `deviceId` to hear with.
 */

const SUBPROTOCOL = 'ivr.rtc.1';
const REQUESTS_OPEN = 64; // The gateway remembers as many answers, for requests that are repeated after a resume.
const PINGS_UNANSWERED = 3;
const PROBE_MS = 1500; // After a change of the network a connection that is still good answers within that.
const LOGIN_MS = 8000; // The gateway waits 6 s for the login.
const RETRY_MS = [300, 600, 1200, 2500, 5000, 10000];
const STATISTICS_MS = 2000;
const DISCONNECTED_MS = 1500; // ICE often comes back by itself within a second.
const RESTART_MS = 4000; // Between two ICE restarts.
const CLOSING_MS = 500;
const PACKET_S = 0.02;
const KEY_MS = 160;
const KEY_GAP_MS = 80;

/** What went wrong. `code` is one of the protocol's, or of those below; `message` is for people. */
export class RtcError extends Error {
  /**
   * @param {string} code
   * @param {string} [message]
   * @param {number} [retryMs]
   */
  constructor(code, message, retryMs) {
    super(message ?? OWN_ERRORS[code] ?? code);
    this.name = 'RtcError';
    this.code = code;
    this.retryMs = retryMs;
  }
}

/** @type {Record<string, string>} The codes that this module adds to those of the protocol. */
const OWN_ERRORS = {
  unreachable: 'The telephone service cannot be reached. Check the network, and try again.',
  connection_lost: 'The connection to the telephone service was lost.',
  logged_out: 'You are logged out.',
  logged_in_elsewhere: 'You logged in with this device in another window.',
  microphone_refused:
    'The microphone is not allowed. Click the symbol beside the address of this page, allow the microphone, and try again.',
  microphone_missing: 'No microphone was found. Plug one in, and try again.',
  microphone_busy: 'Another program is using the microphone. Close it, and try again.',
  microphone_insecure: 'The browser gives the microphone only to pages opened with https://.',
  not_supported: 'This browser cannot make calls. Use a current version of Firefox, Chrome, Edge or Safari.',
  wrong_state: 'The call is not in a state for that.',
};

/** @type {Record<number, 'end' | 'anew'>} What codes of closing the WebSocket mean; others are a lost connection. */
const CLOSINGS = { 4000: 'end', 4002: 'end', 4004: 'end', 4006: 'end', 4003: 'anew', 4005: 'anew' };

const TOKEN_ERRORS = ['token_invalid', 'token_expired'];
/** Errors of logging in that another try does not mend; `refused`: what fetches tokens got none. */
const FINAL_ERRORS = [...TOKEN_ERRORS, 'refused', 'too_many_devices', 'not_allowed', 'bad_field'];

/**
 * A login of one device. Events (`CustomEvent`): `state` ({state, error}), `call` (an incoming {@link Call}),
 * `presence` ({user, state}), `message` ({from, text}).
 */
export class RtcClient extends EventTarget {
  /** @param {ClientOptions} options */
  constructor(options) {
    super();
    /** @type {ConnectionState} */
    this.state = 'offline';
    this.user = '';
    this.name = '';
    /** @type {Rights} */
    this.rights = { call_in: false, be_called: false, call_out: [], peers: false };
    /** @type {Set<Call>} Those that are not over, by invitation or, before there is one, by themselves. */
    this.calls = new Set();
    /** @type {RTCIceServer[]} */
    this.iceServers = [];
    this.microphone = options.microphone ?? '';
    this.speaker = options.speaker ?? '';

    this._url = options.url ?? defaultUrl();
    this._fetchToken = options.token;
    /** The one in use; good for coming back even when it has expired. */
    this._token = '';
    this._device = options.device ?? deviceOfTab();
    /** @type {WebSocket | null} */
    this._socket = null;
    /** @type {object | null} The try to log in that is under way: what belongs to an earlier one is late and ignored. */
    this._attempt = null;
    /** @type {{id: number, resolve: (answer: Message) => void, reject: (error: RtcError) => void} | undefined} */
    this._login = undefined;
    this._session = '';
    this._seq = 0;
    this._lastId = 0;
    /** @type {Map<number, {text: string, resolve: (answer: Message) => void, reject: (error: RtcError) => void}>} Requests without an answer yet, in their order. */
    this._asked = new Map();
    /** @type {Set<string>} */
    this._watched = new Set();
    this._pings = 0;
    this._tries = 0;
    /** Tokens refused one after the other. */
    this._refusals = 0;
    this._graceMs = 30000;
    /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
    this._timers = {};
    /** @type {{resolve: () => void, reject: (error: RtcError) => void} | null} */
    this._connecting = null;
    this._onOnline = () => this._networkChanged();
    this._onPageHide = () => this._leave();
  }

  /** Log in. Resolves once that is done; from then on a lost connection is made anew until {@link close}. */
  async connect() {
    if (this.state !== 'offline') throw new RtcError('wrong_state', 'connected already');
    if (!('RTCPeerConnection' in globalThis)) throw new RtcError('not_supported');
    globalThis.addEventListener('online', this._onOnline);
    globalThis.addEventListener('pagehide', this._onPageHide);
    const done = new Promise((resolve, reject) => (this._connecting = { resolve: () => resolve(null), reject }));
    this._setState('connecting');
    this._open();
    await done;
  }

  /** Log out; calls end. */
  close() {
    if (this.state === 'offline') return;
    for (const call of [...this.calls]) call.hangUp();
    this._leave();
    this._end(new RtcError('logged_out'));
  }

  /**
   * Call a number or a user. The microphone is asked for first. How it goes, the call's events tell.
   * @param {string} to
   * @param {{content?: string | object, channel?: string}} [options]
   * @returns {Call}
   */
  invite(to, options = {}) {
    const { content, channel } = options;
    const call = new Call(this, {
      to,
      content: typeof content === 'object' ? JSON.stringify(content) : content,
      channel,
    });
    this.calls.add(call);
    call._invite();
    return call;
  }

  /**
   * Send a text to all devices of a user; resolves when one of them has it.
   * @param {string} to
   * @param {string | object} text
   */
  async sendMessage(to, text) {
    await this._request('message', { to, text: typeof text === 'string' ? text : JSON.stringify(text) });
  }

  /**
   * Be told (`presence`) when the state of these users changes.
   * @param {...string} users
   * @returns {Promise<Record<string, PresenceState>>} The states now.
   */
  async subscribe(...users) {
    const answer = await this._request('presence.subscribe', { users });
    for (const user of users) this._watched.add(user);
    return answer.states;
  }

  /** @param {...string} users */
  async unsubscribe(...users) {
    for (const user of users) this._watched.delete(user);
    await this._request('presence.unsubscribe', { users });
  }

  /**
   * Speak into another microphone, also in calls under way.
   * @param {string} deviceId
   */
  async setMicrophone(deviceId) {
    const before = this.microphone;
    this.microphone = deviceId;
    try {
      await Promise.all([...this.calls].map((call) => call._changeMicrophone()));
    } catch (error) {
      this.microphone = before;
      throw error;
    }
  }

  /**
   * Hear with another speaker or headset, where the browser can choose.
   * @param {string} deviceId
   */
  async setSpeaker(deviceId) {
    this.speaker = deviceId;
    await Promise.all([...this.calls].map((call) => call._changeSpeaker()));
  }

  // The connection ---------------------------------------------------------------------------------------

  /**
   * @param {string} type
   * @param {object} [fields]
   * @returns {Promise<Message>} The answer `ok`; an error is thrown.
   */
  _request(type, fields = {}) {
    if (this.state === 'offline') return Promise.reject(new RtcError('logged_out'));
    if (this._asked.size >= REQUESTS_OPEN)
      return Promise.reject(new RtcError('too_fast', 'too many requests are open'));
    const id = ++this._lastId;
    const text = JSON.stringify({ type, id, ...fields });
    return new Promise((resolve, reject) => {
      this._asked.set(id, { text, resolve, reject });
      if (this.state === 'online') this._socket?.send(text);
    });
  }

  /** Connect and log in, or see to it that this is tried again. */
  async _open() {
    clearTimeout(this._timers.retry);
    const attempt = (this._attempt = {});
    try {
      this._token ||= typeof this._fetchToken === 'function' ? await this._fetchToken() : this._fetchToken;
    } catch (error) {
      if (attempt === this._attempt) this._failed(error instanceof RtcError ? error : new RtcError('unreachable'));
      return;
    }
    if (attempt !== this._attempt) return;
    const socket = new WebSocket(this._url, SUBPROTOCOL);
    this._socket = socket;
    this._timers.login = setTimeout(() => this._lost(socket, 1006), LOGIN_MS);
    socket.onopen = () => this._logIn(socket, this._session !== '');
    socket.onclose = (event) => this._lost(socket, event.code);
    socket.onmessage = (event) => {
      if (socket === this._socket) this._take(JSON.parse(event.data));
    };
  }

  /** @param {WebSocket} socket @param {boolean} resume */
  async _logIn(socket, resume) {
    const id = ++this._lastId;
    const login = { type: 'login', id, token: this._token, device: this._device };
    const text = JSON.stringify(resume ? { ...login, resume: { session: this._session, seq: this._seq } } : login);
    try {
      /** @type {Message} */
      const answer = await new Promise((resolve, reject) => {
        this._login = { id, resolve, reject };
        socket.send(text);
      });
      this._loggedIn(socket, answer);
    } catch (error) {
      if (socket !== this._socket) return;
      const refusal = error instanceof RtcError ? error : new RtcError('unreachable', String(error));
      if (refusal.code === 'not_resumable') {
        this._session = '';
        await this._logIn(socket, false);
      } else {
        this._lost(socket, 1006, refusal);
      }
    }
  }

  /** @param {WebSocket} socket @param {Message} answer */
  _loggedIn(socket, answer) {
    clearTimeout(this._timers.login);
    clearTimeout(this._timers.grace);
    this.user = answer.user;
    this.name = answer.name || answer.user;
    this.rights = answer.rights;
    this.iceServers = answer.ice_servers;
    this._session = answer.session;
    this._graceMs = answer.grace_ms;
    this._tries = 0;
    this._refusals = 0;
    this._pings = 0;
    if (!answer.resumed) this._startAnew();
    for (const { text } of this._asked.values()) socket.send(text);
    clearInterval(this._timers.ping);
    this._timers.ping = setInterval(() => this._ping(), answer.ping_ms);
    this._setState('online');
    this._connecting?.resolve();
    this._connecting = null;
    if (!answer.resumed && this._watched.size) {
      this.subscribe(...this._watched).then(
        (states) => Object.entries(states).forEach(([user, state]) => this._emit('presence', { user, state })),
        () => {},
      );
    }
    for (const call of this.calls) call._signallingBack();
  }

  /** Another session: what belonged to the one before is over. */
  _startAnew() {
    this._seq = 0;
    this._forget(new RtcError('connection_lost'));
    for (const call of [...this.calls]) if (call.id) call._over('network');
  }

  /** @param {RtcError} error */
  _forget(error) {
    const open = [...this._asked.values()];
    this._asked.clear();
    for (const { reject } of open) reject(error);
  }

  /** @param {WebSocket} socket @param {number} code @param {RtcError} [error] */
  _lost(socket, code, error) {
    if (socket !== this._socket) return;
    this._socket = null;
    this._login = undefined;
    socket.close();
    clearTimeout(this._timers.login);
    clearInterval(this._timers.ping);
    if (CLOSINGS[code] === 'end') {
      this._end(new RtcError(code === 4002 ? 'logged_in_elsewhere' : 'logged_out'));
      return;
    }
    if (CLOSINGS[code] === 'anew') this._session = '';
    if (this.state === 'online') {
      this._timers.grace = setTimeout(() => {
        this._session = '';
        this._startAnew();
      }, this._graceMs);
      this._setState('reconnecting');
    }
    this._failed(error ?? new RtcError('unreachable'), code === 1001 || code === 1013 ? 1000 : 0);
  }

  /**
   * Try again later, unless that is of no use or nobody was logged in yet.
   * @param {RtcError} error
   * @param {number} [least]
   */
  _failed(error, least = 0) {
    let isFinal = FINAL_ERRORS.includes(error.code) || (this._connecting !== null && error.code !== 'too_many_logins');
    if (TOKEN_ERRORS.includes(error.code)) {
      // It may only have become too old: a fresh one is tried once.
      this._token = '';
      this._refusals += 1;
      isFinal = typeof this._fetchToken !== 'function' || this._refusals > 1;
    }
    if (isFinal) {
      this._end(error);
      return;
    }
    const wait = RETRY_MS[Math.min(this._tries, RETRY_MS.length - 1)] * (0.75 + Math.random() / 2);
    this._tries += 1;
    this._attempt = null;
    this._timers.retry = setTimeout(() => this._open(), Math.max(error.retryMs ?? least, wait));
  }

  /**
   * It is over for good, until the next connect.
   * @param {RtcError} error
   */
  _end(error) {
    const socket = this._socket;
    this._socket = null;
    this._attempt = null;
    this._session = '';
    this._token = '';
    socket?.close();
    for (const timer of Object.values(this._timers)) clearTimeout(timer);
    globalThis.removeEventListener('online', this._onOnline);
    globalThis.removeEventListener('pagehide', this._onPageHide);
    this._tries = this._refusals = 0;
    const connecting = this._connecting;
    this._connecting = null;
    this._setState('offline', error);
    this._startAnew();
    for (const call of [...this.calls]) call._over('network');
    connecting?.reject(error);
  }

  /** Say goodbye: a page that is closed has no time for more. */
  _leave() {
    if (this.state === 'online') this._socket?.send(JSON.stringify({ type: 'logout', id: ++this._lastId }));
  }

  _ping() {
    if (this._socket === null) return;
    // Counted and not timed: in a hidden tab browsers let timers run late.
    if (this._pings >= PINGS_UNANSWERED) {
      this._lost(this._socket, 1006);
      return;
    }
    this._pings += 1;
    this._socket.send(JSON.stringify({ type: 'ping', id: ++this._lastId }));
  }

  _networkChanged() {
    const socket = this._socket;
    if (this.state === 'online' && socket) {
      this._ping();
      clearTimeout(this._timers.probe);
      this._timers.probe = setTimeout(() => {
        if (this._pings > 0) this._lost(socket, 1006);
      }, PROBE_MS);
    } else if (this._attempt === null && this.state === 'reconnecting') this._open();
    for (const call of this.calls) call.restartIce();
  }

  /** @param {Message} message */
  _take(message) {
    this._pings = 0;
    if (message.type === 'ok' || message.type === 'error') {
      const login = this._login?.id === message.re ? this._login : undefined;
      if (login) this._login = undefined;
      const asked = login ?? this._asked.get(message.re);
      this._asked.delete(message.re);
      if (message.type === 'ok') asked?.resolve(message);
      else asked?.reject(new RtcError(message.code, message.text, message.retry_ms));
      return;
    }
    if (typeof message.seq !== 'number') return;
    this._socket?.send(JSON.stringify({ type: 'ack', seq: message.seq }));
    if (message.seq <= this._seq) return;
    this._seq = message.seq;
    this._notified(message);
  }

  /** @param {Message} message */
  _notified(message) {
    if (message.type === 'presence') this._emit('presence', { user: message.user, state: message.state });
    else if (message.type === 'message') this._emit('message', { from: message.from, text: message.text });
    else if (message.type === 'invited') this._invited(message);
    else for (const call of this.calls) if (call.id === message.invitation) call._notified(message);
  }

  /** @param {Message} message */
  _invited(message) {
    this._request('received', { invitation: message.invitation }).catch(() => {});
    const call = new Call(this, message);
    this.calls.add(call);
    this._emit('call', call);
  }

  /** @param {ConnectionState} state @param {RtcError} [error] */
  _setState(state, error) {
    if (state === this.state) return;
    this.state = state;
    this._emit('state', { state, error });
  }

  /** @param {string} type @param {any} detail */
  _emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * One call, from its invitation to its end. `change` tells that any of its fields is another, `over` that it ended,
 * `statistics` ({@link Statistics}) comes every two seconds.
 */
export class Call extends EventTarget {
  /** @param {RtcClient} client @param {Record<string, any>} about What was invited to, or the message `invited`. */
  constructor(client, about) {
    super();
    this.client = client;
    this.incoming = 'invitation' in about;
    /** @type {string} The invitation; empty before the gateway gave it. */
    this.id = about.invitation ?? '';
    /** @type {string} Who is at the other end: what was called, or who calls; empty if that is withheld. */
    this.peer = about.to ?? about.from;
    /** @type {string} */
    this.name = about.name ?? '';
    /** @type {string} What was dialled, of an incoming call. */
    this.number = about.number ?? '';
    /** @type {string | undefined} */
    this.content = about.content ?? undefined;
    /** @type {string | undefined} */
    this.channel = about.channel;
    /** @type {InvitationState} */
    this.state = this.incoming ? 'received' : 'idle';
    this.ringing = false;
    this.earlyMedia = false;
    this.held = false;
    this.muted = false;
    /** Whether sound flows. */
    this.connected = false;
    this.isOver = false;
    /**
     * How it ended: `hangup`, `own_hangup`, `cancelled`, `busy`, `refused`, `offline`, `no_answer`, `failed`, `network`,
     * `shutdown`, `replaced`, `answered_elsewhere`, `refused_elsewhere`, an invitation's or an {@link RtcError}'s code.
     */
    this.outcome = '';
    /** @type {number | undefined} The SIP status behind a refusal. */
    this.status = undefined;
    /** @type {RtcError | undefined} */
    this.error = undefined;
    /** @type {string | undefined} What the other side said with its acceptance or refusal. */
    this.response = undefined;
    /** @type {number | undefined} Milliseconds, of `performance.now()`. */
    this.acceptedAt = undefined;
    /** @type {number | undefined} */
    this.endedAt = undefined;
    /** Where the other side is heard. */
    this.audio = document.createElement('audio');
    this.audio.autoplay = true;
    this.audio.muted = true;

    /** @type {RTCSessionDescriptionInit | undefined} */
    this._offer = about.description;
    /** @type {RTCPeerConnection | null} */
    this._peer = null;
    /** @type {MediaStreamTrack | null} */
    this._track = null;
    /** @type {RTCIceCandidateInit[]} */
    this._candidates = [];
    /** @type {(RTCIceCandidate | null)[] | null} Own candidates that wait for the invitation's id. */
    this._unsent = [];
    /** @type {Promise<unknown>} Descriptions are applied one after the other. */
    this._order = Promise.resolve();
    this._restartAt = -Infinity;
    this._restartWanted = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this._restartTimer = undefined;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    this._statisticsTimer = undefined;
    /** @type {Counters | undefined} */
    this._counters = undefined;
  }

  /** How long it has lasted since it was accepted; 0 before. */
  get seconds() {
    return this.acceptedAt === undefined ? 0 : ((this.endedAt ?? performance.now()) - this.acceptedAt) / 1000;
  }

  get accepted() {
    return this.state === 'accepted';
  }

  /**
   * Take an incoming call. If the microphone cannot be had, this throws and the call goes on ringing.
   * @param {string} [response] For who calls.
   */
  async accept(response) {
    if (!this.incoming || this.state !== 'received' || this.isOver || !this._offer) throw new RtcError('wrong_state');
    const offer = this._offer;
    this._offer = undefined;
    try {
      await this._openMicrophone();
    } catch (error) {
      this._offer = offer;
      throw error;
    }
    if (this.isOver) throw new RtcError('wrong_state', 'The call is over.');
    try {
      const peer = this._openPeer();
      await peer.setRemoteDescription(offer);
      this._addTrack(peer);
      await this._addCandidates();
      await peer.setLocalDescription();
      this._change({ state: 'accept_sent' });
      const description = { type: 'answer', sdp: peer.localDescription?.sdp };
      const sent = this.client._request('accept', { invitation: this.id, response, description });
      this._sendCandidates();
      await sent;
    } catch (error) {
      const known = error instanceof RtcError ? error : new RtcError('failed', String(error));
      if (!this.isOver && !(error instanceof RtcError))
        this.client._request('refuse', { invitation: this.id }).catch(() => {});
      this._over(known.code, known);
      throw known;
    }
  }

  /**
   * Do not take an incoming call. With `busy`, other devices of this user go on ringing.
   * @param {string} [response]
   */
  async refuse(response) {
    if (!this.incoming || this.state !== 'received') throw new RtcError('wrong_state');
    this._leave('refuse', 'refused', { response });
  }

  /** Give up an own call that nobody took yet. */
  async cancel() {
    if (this.incoming) throw new RtcError('wrong_state');
    await this.hangUp();
  }

  /** End the call, whatever its state. */
  async hangUp() {
    if (this.isOver) return;
    if (this.accepted) this._leave('hangup', 'own_hangup');
    else if (this.incoming) this._leave('hangup', 'refused');
    else this._leave('cancel', 'cancelled');
  }

  /**
   * Put the other side on hold, or take it back.
   * @param {boolean} on
   */
  async hold(on) {
    await this.client._request('hold', { invitation: this.id, on });
    this._change({ held: on });
    this._applyMuting();
  }

  /**
   * Speak or do not; the other side is not told.
   * @param {boolean} on
   */
  mute(on) {
    this._change({ muted: on });
    this._applyMuting();
  }

  /**
   * Press keys: `0` to `9`, `*`, `#`, `A` to `D`.
   * @param {string} keys
   */
  async sendKeys(keys) {
    if (!/^[0-9*#A-D]+$/.test(keys))
      throw new RtcError('bad_field', `${keys} are no keys; there are 0-9, *, # and A-D`);
    const dtmf = this._sender()?.dtmf;
    if (dtmf?.canInsertDTMF) dtmf.insertDTMF(dtmf.toneBuffer + keys, KEY_MS, KEY_GAP_MS);
    else await this.client._request('keys', { invitation: this.id, keys });
  }

  /** @returns {Promise<{state: InvitationState, remote?: InvitationState, over: boolean}>} As the gateway sees it. */
  async getState() {
    const { state, remote, over } = await this.client._request('state', { invitation: this.id });
    return { state, remote, over };
  }

  /** Find a new path for the sound, as after a change of the network. Done by itself when the path is lost. */
  restartIce() {
    if (this.isOver || this._peer === null) return;
    const wait = Math.max(0, this._restartAt + RESTART_MS - performance.now());
    this._restartWanted = true;
    clearTimeout(this._restartTimer);
    this._restartTimer = setTimeout(() => this._inOrder(() => this._restart()), wait);
  }

  // Signalling -------------------------------------------------------------------------------------------

  async _invite() {
    try {
      await this._openMicrophone();
      if (this.isOver) return;
      const peer = this._openPeer();
      this._addTrack(peer);
      await peer.setLocalDescription();
      if (this.isOver) return;
      const description = { type: 'offer', sdp: peer.localDescription?.sdp };
      const fields = { to: this.peer, content: this.content, channel: this.channel, description };
      const sent = this.client._request('invite', fields);
      this._change({ state: 'sent_to_remote' });
      const { invitation, channel } = await sent;
      if (this.isOver) {
        this.client._request('cancel', { invitation }).catch(() => {});
        return;
      }
      this.id = invitation;
      this.channel = channel;
      this._sendCandidates();
    } catch (error) {
      const known = error instanceof RtcError ? error : new RtcError('failed', String(error));
      this._over(known.code, known);
    }
  }

  /** @param {string} request @param {string} outcome @param {object} [fields] */
  _leave(request, outcome, fields = {}) {
    if (this.id) this.client._request(request, { invitation: this.id, ...fields }).catch(() => {});
    this._over(outcome);
  }

  /** @param {Message} message */
  _notified(message) {
    if (message.type === 'invitation') this._moved(message);
    else if (message.type === 'progress') this._progressed(message);
    else if (message.type === 'media') this._inOrder(() => this._described(message.description));
    else if (message.type === 'candidate') this._candidateCame(message.candidate);
    else if (message.type === 'ended') this._over(message.cause);
  }

  /** @param {Message} message */
  _moved({ state, response, error, status }) {
    this.response = response ?? this.response;
    this.status = status;
    if (state === 'accepted') {
      this.acceptedAt = performance.now();
      this._change({ state, ringing: false });
      this._applyMuting();
    } else if (state === 'refused' || state === 'cancelled' || state === 'failed') {
      this.state = state;
      this._over(error ?? (state === 'refused' ? (OUTCOMES.has(response) ? response : 'refused') : state));
    } else {
      this._change({ state });
    }
  }

  /** @param {Message} message */
  _progressed(message) {
    this._change({ ringing: message.ringing, earlyMedia: message.early_media });
    this._applyMuting();
  }

  /** @param {RTCSessionDescriptionInit} description */
  async _described(description) {
    const peer = this._peer;
    if (peer === null) return;
    if (description.type === 'answer') {
      // Of an offer that was taken back because the gateway's own came first.
      if (peer.signalingState !== 'have-local-offer') return;
      await peer.setRemoteDescription(description);
      await this._addCandidates();
    } else {
      this._restartWanted ||= peer.signalingState === 'have-local-offer';
      await peer.setRemoteDescription(description);
      await this._addCandidates();
      await peer.setLocalDescription();
      await this._sendMedia(peer);
    }
    if (this._restartWanted) this.restartIce();
  }

  /** @param {RTCPeerConnection} peer */
  async _sendMedia(peer) {
    const { type, sdp } = peer.localDescription ?? {};
    await this.client._request('media', { invitation: this.id, description: { type, sdp } });
  }

  /** @param {() => Promise<void>} step */
  _inOrder(step) {
    this._order = this._order
      .then(() => (this.isOver ? undefined : step()))
      .catch((error) => {
        if (this.isOver) return;
        console.error('rtc-client:', error);
        this.error = error instanceof RtcError ? error : new RtcError('failed', String(error));
        this._change({});
      });
  }

  /** @param {RTCIceCandidateInit | null | undefined} candidate */
  _candidateCame(candidate) {
    if (!candidate) return;
    this._candidates.push({
      ...candidate,
      sdpMLineIndex: candidate.sdpMLineIndex ?? (candidate.sdpMid == null ? 0 : null),
    });
    if (this._peer?.remoteDescription) this._inOrder(() => this._addCandidates());
  }

  async _addCandidates() {
    for (const candidate of this._candidates.splice(0)) await this._peer?.addIceCandidate(candidate);
  }

  _sendCandidates() {
    const unsent = this._unsent ?? [];
    this._unsent = null;
    unsent.forEach((candidate) => this._sendCandidate(candidate));
  }

  /** @param {RTCIceCandidate | null} candidate */
  _sendCandidate(candidate) {
    if (this.isOver) return;
    if (this._unsent) {
      this._unsent.push(candidate);
      return;
    }
    const fields = candidate ? { invitation: this.id, candidate: candidate.toJSON() } : { invitation: this.id };
    this.client._request('candidate', fields).catch(() => {});
  }

  /** The connection to the gateway is back. */
  _signallingBack() {
    if (this._restartWanted) this.restartIce();
  }

  // Sound ------------------------------------------------------------------------------------------------

  async _openMicrophone() {
    const track = (this._track = await openMicrophone(this.client.microphone));
    if (this.isOver) track.stop();
    // Unplugged: another one takes its place.
    track.onended = () => this._changeMicrophone().catch((error) => this._change({ error }));
    this._applyMuting();
  }

  async _changeMicrophone() {
    if (this._track === null || this.isOver) return;
    const before = this._track;
    await this._openMicrophone();
    await this._sender()?.replaceTrack(this._track);
    before.stop();
  }

  async _changeSpeaker() {
    /** @type {any} Not every browser can choose. */
    const audio = this.audio;
    await audio.setSinkId?.(this.client.speaker);
  }

  _openPeer() {
    const peer = new RTCPeerConnection({ iceServers: this.client.iceServers, bundlePolicy: 'max-bundle' });
    this._peer = peer;
    peer.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate !== '') this._sendCandidate(candidate);
    };
    peer.ontrack = ({ track }) => {
      this.audio.srcObject = new MediaStream([track]);
      this._applyMuting();
    };
    peer.oniceconnectionstatechange = () => this._iceChanged(peer.iceConnectionState);
    peer.onconnectionstatechange = () => this._change({ connected: peer.connectionState === 'connected' });
    this._statisticsTimer = setInterval(() => this._measure(), STATISTICS_MS);
    if (this.client.speaker) this._changeSpeaker().catch(() => {});
    return peer;
  }

  /** @param {RTCPeerConnection} peer */
  _addTrack(peer) {
    if (this._track) peer.addTrack(this._track, new MediaStream([this._track]));
  }

  _sender() {
    return this._peer?.getSenders().find((sender) => sender.track?.kind === 'audio');
  }

  /** Who is on hold neither speaks nor listens; before the call is taken, early media only is heard. */
  _applyMuting() {
    if (this._track) this._track.enabled = !this.muted && !this.held;
    this.audio.muted = this.held || !(this.accepted || this.earlyMedia);
    if (this.audio.srcObject && this.audio.paused) this.audio.play().catch(() => {});
  }

  /** @param {RTCIceConnectionState} state */
  _iceChanged(state) {
    if (state === 'failed') {
      this.restartIce();
    } else if (state === 'disconnected') {
      clearTimeout(this._restartTimer);
      this._restartTimer = setTimeout(() => {
        if (this._peer?.iceConnectionState === 'disconnected') this.restartIce();
      }, DISCONNECTED_MS);
    }
  }

  async _restart() {
    const peer = this._peer;
    // Otherwise it stays wanted: until the gateway can be asked, or the description under way is settled.
    if (peer === null || this.client.state !== 'online' || peer.signalingState !== 'stable') return;
    this._restartWanted = false;
    this._restartAt = performance.now();
    peer.restartIce();
    await peer.setLocalDescription();
    await this._sendMedia(peer);
  }

  async _measure() {
    if (this._peer === null) return;
    const now = await countersOf(this._peer);
    if (this.isOver) return;
    const before = this._counters;
    this._counters = now;
    if (before) this.dispatchEvent(new CustomEvent('statistics', { detail: statisticsOf(before, now) }));
  }

  // State ------------------------------------------------------------------------------------------------

  /** @param {Partial<Call>} fields */
  _change(fields) {
    if (this.isOver) return;
    Object.assign(this, fields);
    this.dispatchEvent(new CustomEvent('change'));
  }

  /** @param {string} outcome @param {RtcError} [error] */
  _over(outcome, error) {
    if (this.isOver) return;
    if (!this.accepted && (outcome === 'refused' || outcome === 'cancelled')) this.state = outcome;
    this.outcome = outcome;
    this.error = error;
    this.endedAt = performance.now();
    this.ringing = this.connected = false;
    this.isOver = true;
    this.client.calls.delete(this);
    clearInterval(this._statisticsTimer);
    clearTimeout(this._restartTimer);
    this._track?.stop();
    this.audio.srcObject = null;
    // Closing tells the gateway as well, past its signalling: that must come first, or the call was lost, not hung up.
    const peer = this._peer;
    setTimeout(() => peer?.close(), CLOSING_MS);
    this.dispatchEvent(new CustomEvent('change'));
    this.dispatchEvent(new CustomEvent('over'));
  }
}

const OUTCOMES = new Set(['busy', 'refused', 'offline', 'no_answer', 'failed']);

/**
 * The microphone's sound.
 * @param {string} [deviceId] Which; one that is gone is replaced by the usual one.
 * @returns {Promise<MediaStreamTrack>}
 * @throws {RtcError} `microphone_...`, with words for people.
 */
export async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new RtcError(globalThis.isSecureContext ? 'not_supported' : 'microphone_insecure');
  }
  try {
    const audio = deviceId ? { deviceId: { exact: deviceId } } : true;
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    return stream.getAudioTracks()[0];
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (deviceId && (name === 'OverconstrainedError' || name === 'NotFoundError')) return openMicrophone();
    if (name === 'NotAllowedError' || name === 'SecurityError') throw new RtcError('microphone_refused');
    if (name === 'NotFoundError') throw new RtcError('microphone_missing');
    throw new RtcError('microphone_busy');
  }
}

/**
 * Microphones and speakers to choose from; those without a name yet, because the microphone was never allowed, are left out.
 * @returns {Promise<{microphones: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>}
 */
export async function audioDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const named = all.filter((device) => device.deviceId && device.label);
  return {
    microphones: named.filter((device) => device.kind === 'audioinput'),
    speakers: named.filter((device) => device.kind === 'audiooutput'),
  };
}

/** @typedef {{received: number, lost: number, jitter?: number, delay: number, emitted: number, roundTrip?: number, lossSent?: number}} Counters */

/** @param {RTCPeerConnection} peer @returns {Promise<Counters>} */
async function countersOf(peer) {
  /** @type {Counters} */
  const found = { received: 0, lost: 0, delay: 0, emitted: 0 };
  (await peer.getStats()).forEach((report) => {
    if (report.type === 'inbound-rtp' && report.kind === 'audio') {
      found.received = report.packetsReceived ?? 0;
      found.lost = report.packetsLost ?? 0;
      found.jitter = report.jitter;
      found.delay = report.jitterBufferDelay ?? 0;
      found.emitted = report.jitterBufferEmittedCount ?? 0;
    } else if (report.type === 'remote-inbound-rtp' && report.kind === 'audio') {
      found.lossSent = report.fractionLost;
      found.roundTrip ??= report.roundTripTime;
    } else if (report.type === 'candidate-pair' && report.nominated && report.state === 'succeeded') {
      found.roundTrip = report.currentRoundTripTime ?? found.roundTrip;
    }
  });
  return found;
}

/** @param {Counters} before @param {Counters} now @returns {Statistics} */
function statisticsOf(before, now) {
  const received = now.received - before.received;
  const lost = Math.max(0, now.lost - before.lost);
  const emitted = now.emitted - before.emitted;
  const lossReceived = received + lost > 0 ? lost / (received + lost) : null;
  const lossSent = now.lossSent ?? null;
  const buffered = emitted > 0 ? (now.delay - before.delay) / emitted : 0;
  const delay = (now.roundTrip ?? 0) / 2 + buffered + PACKET_S;
  const mos = lossReceived === null ? null : mosOf(Math.max(lossReceived, lossSent ?? 0), delay);
  return {
    quality: mos === null ? 'unknown' : mos >= 4 ? 'good' : mos >= 3.6 ? 'fair' : mos >= 3.1 ? 'poor' : 'bad',
    mos,
    delayMs: mos === null ? null : delay * 1000,
    roundTripMs: now.roundTrip === undefined ? null : now.roundTrip * 1000,
    jitterMs: now.jitter === undefined ? null : now.jitter * 1000,
    lossReceived,
    lossSent,
  };
}

/**
 * The E-model (ITU-T G.107) in its short form: delay above 177 ms costs more; loss as for G.711 with concealment.
 * @param {number} loss @param {number} delay Seconds, one way.
 */
function mosOf(loss, delay) {
  const ms = delay * 1000;
  const delayed = 0.024 * ms + (ms > 177.3 ? 0.11 * (ms - 177.3) : 0);
  const lossy = (95 * loss * 100) / (loss * 100 + 25.1);
  const r = Math.max(0, Math.min(93.2, 93.2 - delayed - lossy));
  return 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r);
}

function defaultUrl() {
  const url = new URL('/rtc', import.meta.url);
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
  return url.href;
}

/** The same after a reload, another in every tab. */
function deviceOfTab() {
  const fresh = () => `web-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  try {
    const device = sessionStorage.getItem('rtc-device') ?? fresh();
    sessionStorage.setItem('rtc-device', device);
    return device;
  } catch {
    return fresh();
  }
}
