// One call on the softphone: who, where it stands, and what can be done with it.
// @ts-check

import { button, icon, keypad, make, Notices, setIcon } from './elements.js';
import { RtcError } from './rtc-client.js';
import { durationWords, peerWords, qualityDetails, qualityWords, stateWords } from './words.js';

/** @typedef {import('./rtc-client.js').Call} Call */
/** @typedef {import('./rtc-client.js').Statistics} Statistics */

export class CallCard {
  /**
   * @param {Call} call
   * @param {{sounds: import('./sounds.js').Sounds, beforeTalking: (call: Call) => void, say: (words: string) => void}} desk
   */
  constructor(call, { sounds, beforeTalking, say }) {
    this.call = call;
    this._sounds = sounds;
    this._beforeTalking = beforeTalking;
    this._say = say;
    this._wasConnected = false;
    this._said = '';

    const who = make('h2', 'call-who', peerWords(call));
    who.tabIndex = -1;
    this._who = who;
    this._words = make('span');
    this._timer = make('span', 'timer');
    this._timer.setAttribute('role', 'timer');
    this._alerts = make('div', 'notices');
    this._alerts.setAttribute('role', 'alert');
    this._notices = new Notices(this._alerts);
    this._bars = make('span', 'bars', make('i'), make('i'), make('i'), make('i'));
    this._bars.setAttribute('aria-hidden', 'true');
    this._qualityWords = make('span', '', 'Measuring the sound');
    this._qualityDetails = make('span', 'quality-details');
    this._quality = make('p', 'quality', this._bars, this._qualityWords, this._qualityDetails);
    this._sent = make('p', 'keys-sent');
    this._sent.setAttribute('aria-label', 'Keys pressed');
    this._keys = make(
      'div',
      '',
      this._sent,
      keypad((key) => this.press(key), 'Keys for the other side'),
    );
    this._keys.hidden = true;
    this._buttons = make('div');
    const head = make('div', '', who);
    if (call.name && call.peer.toLowerCase() !== call.name.toLowerCase()) head.append(make('p', 'quiet', call.peer));
    if (call.number && call.number !== call.client.user) head.append(make('p', 'quiet', `called ${call.number}`));
    this.element = make('section', 'panel call', head, make('p', 'call-state', this._words, ' ', this._timer));
    this.element.setAttribute('aria-label', `Call: ${peerWords(call)}`);
    this.element.append(this._quality, this._alerts, this._keys, this._buttons);
    this._shown = '';

    call.addEventListener('change', () => this.update());
    call.addEventListener('statistics', (event) =>
      this._showQuality(/** @type {CustomEvent<Statistics>} */ (event).detail),
    );
    this.update();
  }

  get keypadIsOpen() {
    return !this._keys.hidden;
  }

  /** Let screen readers and the keyboard begin here. */
  focus() {
    this._who.focus();
  }

  tick() {
    this._timer.textContent = this.call.acceptedAt === undefined ? '' : durationWords(this.call.seconds);
  }

  update() {
    const { call } = this;
    this._wasConnected ||= call.connected;
    const words = stateWords(call, this._wasConnected);
    this._words.textContent = words;
    if (words !== this._said)
      this._say(call.incoming && !call.accepted && !call.isOver ? '' : `${peerWords(call)}: ${words}`);
    this._said = words;
    this.tick();
    const kind = call.isOver ? 'over' : call.accepted ? 'accepted' : call.incoming ? call.state : 'outgoing';
    if (kind !== this._shown) this._showButtons(kind);
    this._shown = kind;
    this.element.classList.toggle('call-ringing', kind === 'received');
    this.element.classList.toggle('call-over', kind === 'over');
    this._quality.hidden = kind !== 'accepted' || call.held;
    if (kind === 'over') this._keys.hidden = true;
    if (kind === 'accepted') this._updateControls();
    if (call.error && kind !== 'over') this._notices.show('call', 'error', call.error.message);
  }

  /** @param {string} key */
  press(key) {
    this._sounds.key(key);
    this._sent.textContent += key;
    this._try(this.call.sendKeys(key));
  }

  /** @param {string} kind */
  _showButtons(kind) {
    const { call } = this;
    const hadFocus = this._buttons.contains(document.activeElement);
    this._buttons.replaceChildren();
    this._buttons.className = kind === 'accepted' ? 'controls' : 'call-buttons';
    this._buttons.hidden = kind === 'over' || kind === 'accept_sent';
    if (kind === 'received') {
      this._buttons.append(
        button('Accept', 'button button-go', () => this._accept(), 'phone'),
        button('Refuse', 'button button-stop', () => this._try(call.refuse()), 'hangup'),
      );
    } else if (kind === 'accepted') {
      this._mute = this._control('Mute', 'microphone', () => call.mute(!call.muted));
      this._hold = this._control('Hold', 'pause', () => this._toggleHold());
      this._pad = this._control('Keypad', 'keypad', () => this._toggleKeys());
      const end = this._control('Hang up', 'hangup', () => this._try(call.hangUp()));
      end.classList.add('control-stop');
    } else if (kind === 'outgoing') {
      const end = button('Give up', 'button button-stop', () => this._try(call.cancel()), 'hangup');
      this._buttons.append(end);
    }
    // What had the focus is gone: the next to press is not where somebody else's was.
    if (hadFocus) this.focus();
  }

  _updateControls() {
    const { call } = this;
    this._mute?.setAttribute('aria-pressed', String(call.muted));
    this._hold?.classList.toggle('control-on', call.held);
    this._pad?.setAttribute('aria-expanded', String(!this._keys.hidden));
    if (this._mute) setIcon(this._mute, call.muted ? 'microphone-off' : 'microphone');
    if (this._hold) setIcon(this._hold, call.held ? 'resume' : 'pause');
    const holdName = this._hold?.querySelector('span');
    if (holdName) holdName.textContent = call.held ? 'Resume' : 'Hold';
  }

  /** @param {string} name @param {string} iconName @param {() => void} onClick */
  _control(name, iconName, onClick) {
    const control = button(name, 'control', onClick, iconName);
    this._buttons.append(control);
    return control;
  }

  async _accept() {
    this._notices.clear('microphone');
    this._beforeTalking(this.call);
    try {
      await this.call.accept();
    } catch (error) {
      // It rings on: the microphone can be allowed yet, or the call refused.
      if (!this.call.isOver && error instanceof RtcError) this._notices.show('microphone', 'error', error.message);
    }
  }

  _toggleHold() {
    if (this.call.held) this._beforeTalking(this.call);
    this._try(this.call.hold(!this.call.held));
  }

  _toggleKeys() {
    this._keys.hidden = !this._keys.hidden;
    this._updateControls();
    if (!this._keys.hidden) this._keys.querySelector('button')?.focus();
  }

  /** @param {Statistics} statistics */
  _showQuality(statistics) {
    this._bars.dataset.quality = statistics.quality;
    this._qualityWords.textContent = qualityWords(statistics);
    this._qualityDetails.textContent = qualityDetails(statistics);
  }

  /** @param {Promise<unknown>} asked */
  _try(asked) {
    asked.catch((error) => {
      if (!this.call.isOver) this._notices.show('failed', 'error', `That did not work: ${error.message}`);
    });
  }
}

/**
 * One line of the history.
 * @param {Call} call
 * @param {Date} when
 * @param {string} outcome
 * @param {boolean} missed
 * @param {(() => void) | null} callBack
 */
export function pastCall(call, when, outcome, missed, callBack) {
  const time = make('time', '', when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  time.setAttribute('datetime', when.toISOString());
  const what = make('p', 'past-what', make('span', 'past-outcome', outcome), ' · ', time);
  if (call.seconds) what.append(' · ', durationWords(call.seconds));
  const direction = call.incoming ? 'From ' : 'To ';
  const who = make('p', 'past-who', make('span', 'unseen', direction), peerWords(call));
  const line = make('li', missed ? 'missed' : '', icon(missed ? 'missed' : call.incoming ? 'in' : 'out'));
  line.append(make('div', '', who, what));
  if (callBack) {
    const again = button(`Call ${peerWords(call)}`, 'button-icon', callBack, 'phone');
    again.title = `Call ${peerWords(call)}`;
    again.querySelector('span')?.classList.add('unseen');
    line.append(again);
  }
  return line;
}
