// The sounds a telephone makes by itself: ringing, the ring-back tone, keys, the end of a call. Made by WebAudio.
// @ts-check

/** Hz, by key (ITU-T Q.23). */
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477, 1633];
const KEYS = ['123A', '456B', '789C', '*0#D'];

const KEY_S = 0.14;
const FADE_S = 0.008; // Without it, tones begin and end with a click.

/** Each lasts for `every` seconds and is repeated until it is stopped. */
const PATTERNS = {
  ring: {
    every: 3,
    bursts: [
      [0, 0.4],
      [0.6, 0.4],
    ],
    tones: [480, 620],
    warble: 22,
    volume: 0.22,
  },
  waiting: {
    every: 4,
    bursts: [
      [0, 0.12],
      [0.24, 0.12],
    ],
    tones: [425],
    warble: 0,
    volume: 0.08,
  },
  ringback: { every: 5, bursts: [[0, 1]], tones: [425], warble: 0, volume: 0.1 },
};

export class Sounds {
  constructor() {
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {Map<string, {stop: () => void}>} */
    this._playing = new Map();
    this._device = '';
  }

  /** Browsers allow sound after a click only: call this in one. */
  wake() {
    this._context ??= new AudioContext();
    if (this._context.state === 'suspended') this._context.resume().catch(() => {});
    this._applyDevice();
  }

  /**
   * Where calls ring, where the browser can choose.
   * @param {string} deviceId
   */
  setDevice(deviceId) {
    this._device = deviceId;
    this._applyDevice();
  }

  /** @param {'ring' | 'waiting' | 'ringback'} name @param {boolean} on */
  repeat(name, on) {
    if (!on) {
      this._playing.get(name)?.stop();
      this._playing.delete(name);
    } else if (!this._playing.has(name)) {
      this._playing.set(name, this._repeat(PATTERNS[name]));
    }
  }

  /** @param {string} key */
  key(key) {
    const row = KEYS.findIndex((keys) => keys.includes(key));
    if (row >= 0) this._tone([ROWS[row], COLUMNS[KEYS[row].indexOf(key)]], 0, KEY_S, 0.12);
  }

  /** A call is over. */
  ended() {
    this._tone([480], 0, 0.12, 0.12);
    this._tone([360], 0.16, 0.18, 0.12);
  }

  /** @param {typeof PATTERNS.ring} pattern */
  _repeat({ every, bursts, tones, warble, volume }) {
    /** @type {(() => void)[]} */
    let stops = [];
    const play = () => {
      stops = bursts.map(([at, lasts]) => this._tone(tones, at, lasts, volume, warble));
    };
    play();
    const timer = setInterval(play, every * 1000);
    return {
      stop: () => {
        clearInterval(timer);
        stops.forEach((stop) => stop());
      },
    };
  }

  /**
   * @param {number[]} frequencies Hz; with a `warble` (Hz) one after the other, else together.
   * @param {number} delay Seconds. @param {number} lasts Seconds. @param {number} volume @param {number} [warble]
   * @returns {() => void} Stops it.
   */
  _tone(frequencies, delay, lasts, volume, warble = 0) {
    const context = this._context;
    if (context === null || context.state !== 'running') return () => {};
    const at = context.currentTime + delay;
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(volume, at + FADE_S);
    gain.gain.setValueAtTime(volume, at + lasts - FADE_S);
    gain.gain.linearRampToValueAtTime(0, at + lasts);
    gain.connect(context.destination);
    const oscillators = (warble ? frequencies.slice(0, 1) : frequencies).map((frequency) => {
      const oscillator = new OscillatorNode(context, { frequency });
      for (let step = 0; warble && step < lasts * warble; step += 1) {
        oscillator.frequency.setValueAtTime(frequencies[step % frequencies.length], at + step / warble);
      }
      oscillator.connect(gain);
      oscillator.start(at);
      oscillator.stop(at + lasts);
      return oscillator;
    });
    return () => {
      gain.disconnect();
      oscillators.forEach((oscillator) => oscillator.disconnect());
    };
  }

  _applyDevice() {
    /** @type {any} Not every browser can choose. */
    const context = this._context;
    context?.setSinkId?.(this._device).catch(() => {});
  }
}
