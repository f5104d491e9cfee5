// The softphone of agents: logs in, makes and takes calls. What a call looks like is in call-card.js.
// @ts-check

import { CallCard, pastCall } from './call-card.js';
import { byId, keypad, loadIcons, Notices } from './elements.js';
import { openMicrophone, RtcClient, RtcError } from './rtc-client.js';
import { SoundSettings } from './sound-settings.js';
import { Sounds } from './sounds.js';
import { fetchToken } from './tokens.js';
import { isMissed, outcomeWords, peerWords } from './words.js';

/** @typedef {import('./rtc-client.js').Call} Call */

const OVER_SHOWN_MS = 4000;
const HISTORY_MOST = 200;
const PRESENCES = {
  online: 'Online',
  busy: 'In a call',
  connecting: 'Connecting…',
  reconnecting: 'Reconnecting…',
  offline: '',
};

const sounds = new Sounds();
const notices = new Notices(byId('notices'));
/** @type {RtcClient | null} */
let client = null;
/** @type {Map<Call, CallCard>} */
const cards = new Map();
/** Another call is to be made beside one that runs. */
let dialerWanted = false;

const settings = new SoundSettings(sounds, async (kind, deviceId) => {
  if (kind === 'microphone') await client?.setMicrophone(deviceId);
  else if (kind === 'speaker') await client?.setSpeaker(deviceId);
});

// Logging in and out --------------------------------------------------------------------------------------

/** @param {string} [error] */
function showLogin(error = '') {
  client = null;
  byId('bar').hidden = byId('desk').hidden = true;
  byId('login').hidden = false;
  byId('login-error').textContent = error;
  byId('login-button').disabled = false;
  byId('password').value = '';
  byId(byId('user').value ? 'password' : 'user').focus();
}

/** @param {SubmitEvent} event */
async function logIn(event) {
  event.preventDefault();
  sounds.wake();
  const credentials = { user: byId('user').value.trim(), password: byId('password').value };
  byId('login-error').textContent = '';
  byId('login-button').disabled = true;
  client = new RtcClient({
    token: () => fetchToken(credentials),
    microphone: settings.chosen('microphone'),
    speaker: settings.chosen('speaker'),
  });
  client.addEventListener('state', (e) => stateChanged(/** @type {CustomEvent} */ (e).detail));
  client.addEventListener('call', (e) => called(/** @type {CustomEvent<Call>} */ (e).detail));
  try {
    await client.connect();
  } catch (error) {
    showLogin(error instanceof Error ? error.message : String(error));
    return;
  }
  byId('login').hidden = true;
  byId('bar').hidden = byId('desk').hidden = false;
  byId('me').textContent = client.name;
  byId('history').replaceChildren();
  byId('history-none').hidden = false;
  update();
  byId('number').focus();
  await checkMicrophone();
}

/** @param {{state: string, error?: RtcError}} change */
function stateChanged({ state, error }) {
  showPresence();
  if (state === 'reconnecting') {
    const calls = { 0: 'The', 1: 'The call goes on, and the' }[cards.size] ?? 'The calls go on, and the';
    notices.show(
      'connection',
      'warning',
      `The connection to the telephone service was lost. ${calls} softphone is reconnecting.`,
    );
  } else {
    notices.clear('connection');
    if (state === 'online') say('Online');
  }
  if (state === 'offline' && byId('login').hidden) showLogin(error?.code === 'logged_out' ? '' : error?.message);
}

function showPresence() {
  const state = client?.state ?? 'offline';
  const shown = state === 'online' && [...cards.keys()].some(isOurs) ? 'busy' : state;
  byId('dot').dataset.state = shown;
  byId('presence').textContent = PRESENCES[shown];
}

/** A microphone that is not allowed is better found out before somebody calls. */
async function checkMicrophone() {
  const permission = await navigator.permissions?.query({ name: /** @type {any} */ ('microphone') }).catch(() => null);
  if (permission) permission.onchange = () => checkMicrophone();
  if (!globalThis.isSecureContext || permission?.state === 'denied') {
    notices.show(
      'microphone',
      'error',
      new RtcError(globalThis.isSecureContext ? 'microphone_refused' : 'microphone_insecure').message,
    );
  } else if (permission?.state === 'prompt') {
    notices.show('microphone', 'warning', 'To make and take calls, this page needs the microphone.', {
      text: 'Allow the microphone',
      act: async () => {
        try {
          (await openMicrophone()).stop();
          notices.clear('microphone');
        } catch (error) {
          notices.show('microphone', 'error', error instanceof Error ? error.message : String(error));
        }
      },
    });
  } else {
    notices.clear('microphone');
  }
}

// Calls ---------------------------------------------------------------------------------------------------

/** @param {Call} call */
function called(call) {
  byId('called').textContent = `Incoming call from ${peerWords(call)}`;
  const card = show(call);
  // Only if nothing else is being done: a key pressed just now must not accept or refuse.
  if (document.activeElement === document.body) card.focus();
}

/** @param {string} to */
function dial(to) {
  if (!client) return;
  sounds.wake();
  dialerWanted = false;
  const call = client.invite(to);
  holdOthers(call);
  show(call).focus();
}

/**
 * One talks with one at a time.
 * @param {Call} call
 */
function holdOthers(call) {
  for (const other of cards.keys()) {
    if (other !== call && other.accepted && !other.isOver && !other.held) other.hold(true).catch(() => {});
  }
}

/** @param {Call} call */
function show(call) {
  const card = new CallCard(call, { sounds, beforeTalking: holdOthers, say });
  const begun = new Date();
  cards.set(call, card);
  byId('calls').prepend(card.element);
  call.addEventListener('change', update);
  call.addEventListener('over', () => over(card, begun));
  update();
  return card;
}

/** @param {CallCard} card @param {Date} begun */
function over({ call, element }, begun) {
  if (call.error?.code.startsWith('microphone')) notices.show('microphone', 'error', call.error.message);
  else if (call.accepted || !call.incoming) sounds.ended();
  const callBack = call.peer && mayCall() ? () => dial(call.peer) : null;
  byId('history').prepend(pastCall(call, begun, outcomeWords(call), isMissed(call), callBack));
  while (byId('history').children.length > HISTORY_MOST) byId('history').lastElementChild.remove();
  byId('history-none').hidden = true;
  setTimeout(
    () => {
      const hadFocus = element.contains(document.activeElement);
      element.remove();
      cards.delete(call);
      update();
      if (hadFocus) byId('number').focus();
    },
    call.incoming && !call.accepted ? 0 : OVER_SHOWN_MS,
  );
}

/** What all calls together make of the page. */
function update() {
  const calls = [...cards.keys()].filter((call) => !call.isOver);
  const ringing = calls.find((call) => call.incoming && call.state === 'received');
  const talking = calls.some(isOurs);
  sounds.repeat('ring', ringing !== undefined && !talking);
  sounds.repeat('waiting', ringing !== undefined && talking);
  sounds.repeat(
    'ringback',
    calls.some((call) => call.ringing && !call.earlyMedia),
  );
  document.title = ringing
    ? `${peerWords(ringing)} calls`
    : calls.length
      ? `${peerWords(calls[0])} – Softphone`
      : 'Softphone';
  if (!ringing) byId('called').textContent = '';
  dialerWanted &&= talking;
  // The keypads of a call and for a number, both at once, would be mistaken for each other.
  byId('dialer').hidden = !mayCall() || (talking && !dialerWanted);
  byId('another').hidden = !mayCall() || !talking || dialerWanted;
  showPresence();
}

/**
 * Made or taken, and not over.
 * @param {Call} call
 */
function isOurs(call) {
  return !call.isOver && (!call.incoming || call.state !== 'received');
}

function mayCall() {
  return client !== null && (client.rights.call_in || client.rights.call_out.length > 0);
}

/**
 * To screen readers.
 * @param {string} words
 */
function say(words) {
  if (words) byId('said').textContent = words;
}

// The page ------------------------------------------------------------------------------------------------

/** @param {string} value */
function setNumber(value) {
  byId('number').value = value;
  byId('backspace').hidden = value === '';
}

byId('login').addEventListener('submit', logIn);
byId('logout').addEventListener('click', () => client?.close());
byId('dialer-keys').append(
  keypad((key) => {
    sounds.wake();
    sounds.key(key);
    setNumber(byId('number').value + key);
  }, 'Number keys'),
);
byId('number').addEventListener('input', () => setNumber(byId('number').value));
byId('backspace').addEventListener('click', () => {
  setNumber(byId('number').value.slice(0, -1));
  if (byId('backspace').hidden) byId('number').focus();
});
byId('dialer').addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const to = byId('number').value.replace(/[\s()/-]/g, '');
  if (to === '') {
    byId('number').focus();
    return;
  }
  setNumber('');
  dial(to);
});
byId('another').addEventListener('click', () => {
  dialerWanted = true;
  update();
  byId('number').focus();
});
document.addEventListener('keydown', (event) => {
  const card = [...cards.values()].find((each) => each.keypadIsOpen && !each.call.held);
  const typing = document.activeElement instanceof HTMLInputElement || event.ctrlKey || event.altKey || event.metaKey;
  if (card && !typing && /^[0-9*#]$/.test(event.key)) card.press(event.key);
});
setInterval(() => cards.forEach((card) => card.tick()), 500);
showLogin();
loadIcons().catch(() => {});
