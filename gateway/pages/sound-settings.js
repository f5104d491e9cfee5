// Which microphone and which speakers: chosen in a dialog, remembered by the browser, tried out there.
// @ts-check

import { byId } from './elements.js';
import { audioDevices, openMicrophone, RtcError } from './rtc-client.js';

const KINDS = /** @type {const} */ (['microphone', 'speaker', 'ring']);
/** @typedef {(typeof KINDS)[number]} Kind */

export class SoundSettings {
  /** @param {import('./sounds.js').Sounds} sounds @param {(kind: Kind, deviceId: string) => Promise<void>} apply */
  constructor(sounds, apply) {
    this._sounds = sounds;
    this._apply = apply;
    /** @type {HTMLDialogElement} */
    this._dialog = byId('settings');
    /** @type {MediaStreamTrack | null} */
    this._track = null;
    /** @type {AudioContext | null} */
    this._meter = null;
    sounds.setDevice(this.chosen('ring'));
    for (const kind of KINDS) byId(kind).addEventListener('change', () => this._choose(kind));
    byId('settings-open').addEventListener('click', () => this.open());
    byId('test-sound').addEventListener('click', () => this._test());
    this._dialog.addEventListener('close', () => this._closed());
    navigator.mediaDevices?.addEventListener('devicechange', () => {
      if (this._dialog.open) this._list();
    });
  }

  /** @param {Kind} kind The `deviceId`; empty: the usual one. */
  chosen(kind) {
    return localStorage.getItem(`sound-${kind}`) ?? '';
  }

  async open() {
    this._sounds.wake();
    this._dialog.showModal();
    // Devices have names only while a page may use the microphone.
    await this._listen();
    await this._list();
  }

  async _list() {
    const { microphones, speakers } = await audioDevices();
    const canChoose = 'setSinkId' in HTMLMediaElement.prototype;
    byId('speaker-words').hidden = canChoose;
    for (const kind of KINDS) {
      const devices = kind === 'microphone' ? microphones : speakers;
      const options = devices.filter((device) => device.deviceId !== 'default');
      byId(kind).replaceChildren(
        new Option(kind === 'microphone' ? 'The usual microphone' : 'The usual speaker', ''),
        ...options.map((device) => new Option(device.label, device.deviceId)),
      );
      byId(kind).value = options.some((device) => device.deviceId === this.chosen(kind)) ? this.chosen(kind) : '';
      byId(kind).disabled = kind !== 'microphone' && !canChoose;
    }
  }

  /** @param {Kind} kind */
  async _choose(kind) {
    localStorage.setItem(`sound-${kind}`, byId(kind).value);
    if (kind === 'ring') this._sounds.setDevice(byId(kind).value);
    try {
      await this._apply(kind, byId(kind).value);
    } catch (error) {
      byId('level-words').textContent = error instanceof Error ? error.message : String(error);
    }
    if (kind === 'microphone') await this._listen();
  }

  /** Show how loud the microphone is. */
  async _listen() {
    this._closeMicrophone();
    const words = byId('level-words');
    try {
      this._track = await openMicrophone(this.chosen('microphone'));
    } catch (error) {
      words.textContent = error instanceof RtcError ? error.message : String(error);
      byId('level').hidden = true;
      return;
    }
    words.textContent = 'Say something: the bar moves.';
    byId('level').hidden = false;
    const context = (this._meter = new AudioContext());
    const analyser = new AnalyserNode(context, { fftSize: 1024 });
    context.createMediaStreamSource(new MediaStream([this._track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const show = () => {
      if (this._meter !== context) return;
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      byId('level').value = Math.max(0, 1 + Math.log10(power + 1e-9) / 6);
      requestAnimationFrame(show);
    };
    show();
  }

  _test() {
    this._sounds.wake();
    this._sounds.repeat('ring', true);
    setTimeout(() => this._sounds.repeat('ring', false), 1200);
  }

  _closeMicrophone() {
    this._track?.stop();
    this._track = null;
    this._meter?.close().catch(() => {});
    this._meter = null;
  }

  _closed() {
    this._closeMicrophone();
    byId('settings-open').focus();
  }
}
