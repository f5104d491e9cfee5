// Click to call: one number, one button. ?to=1000 says which number, ?name= what is shown instead of it, #token= brings
// a token of the site's own backend; without one, the gateway is asked for a guest's.
// @ts-check

import { byId, keypad, loadIcons, Notices, setIcon } from './elements.js';
import { RtcClient } from './rtc-client.js';
import { Sounds } from './sounds.js';
import { fetchToken } from './tokens.js';
import { durationWords, outcomeWords, stateWords } from './words.js';

const query = new URLSearchParams(location.search);
const to = query.get('to') ?? '';
const name = query.get('name') || to;
const given = new URLSearchParams(location.hash.slice(1)).get('token');
const sounds = new Sounds();
const notices = new Notices(byId('notices'));
/** @type {RtcClient | null} */
let client = null;
/** @type {import('./rtc-client.js').Call | null} */
let call = null;
let wasConnected = false;

async function start() {
  sounds.wake();
  notices.clear('failed');
  showButtons('connecting');
  byId('cancel').focus();
  byId('state').textContent = 'Connecting…';
  byId('timer').textContent = '';
  const mine = (client = new RtcClient({ token: given ?? (() => fetchToken({ to })) }));
  mine.addEventListener('state', (event) => connectionChanged(/** @type {CustomEvent} */ (event).detail.state));
  try {
    await mine.connect();
  } catch (error) {
    if (client === mine) over('', error instanceof Error ? error.message : String(error));
    return;
  }
  if (client !== mine) return;
  wasConnected = false;
  call = mine.invite(to);
  call.addEventListener('change', update);
}

function update() {
  if (call === null) return;
  wasConnected ||= call.connected;
  sounds.repeat('ringback', call.ringing && !call.earlyMedia && !call.isOver);
  if (call.isOver) {
    const ended = call;
    const lasted = ended.seconds
      ? `${outcomeWords(ended)}, after ${durationWords(ended.seconds)}.`
      : `${outcomeWords(ended)}.`;
    sounds.ended();
    client?.close();
    over(
      ended.error?.code.startsWith('microphone') ? '' : lasted,
      ended.error?.code.startsWith('microphone') ? ended.error.message : '',
    );
    return;
  }
  byId('state').textContent = stateWords(call, wasConnected);
  showButtons(call.accepted ? 'talking' : 'connecting');
  byId('mute').setAttribute('aria-pressed', String(call.muted));
  setIcon(byId('mute'), call.muted ? 'microphone-off' : 'microphone');
}

/** @param {string} state */
function connectionChanged(state) {
  if (state === 'reconnecting')
    notices.show('connection', 'warning', 'The connection was lost. It is being made again; please wait.');
  else notices.clear('connection');
}

/** @param {string} words @param {string} [error] */
function over(words, error) {
  const hadFocus = byId('start').parentElement.contains(document.activeElement);
  client = call = null;
  byId('state').textContent = words;
  byId('timer').textContent = '';
  byId('start-words').textContent = words ? 'Call again' : 'Call';
  if (error) notices.show('failed', 'error', error);
  showButtons('idle');
  if (hadFocus) byId('start').focus();
}

/** @param {'idle' | 'connecting' | 'talking'} phase */
function showButtons(phase) {
  const focused = document.activeElement;
  byId('start').hidden = phase !== 'idle';
  byId('cancel').hidden = phase !== 'connecting';
  byId('controls').hidden = phase !== 'talking';
  if (phase !== 'talking') toggleKeys(false);
  if (phase === 'talking' && focused === byId('cancel')) byId('hangup').focus();
}

/** @param {boolean} open */
function toggleKeys(open) {
  byId('keys').hidden = !open;
  byId('keypad').setAttribute('aria-expanded', String(open));
}

function cancel() {
  if (call) {
    call.hangUp();
  } else {
    client?.close();
    over('Call given up.');
  }
}

byId('keys').append(
  keypad((key) => {
    sounds.key(key);
    call?.sendKeys(key).catch((error) => notices.show('failed', 'error', error.message));
  }, 'Keys for the other side'),
);
byId('start').addEventListener('click', start);
byId('cancel').addEventListener('click', cancel);
byId('hangup').addEventListener('click', () => call?.hangUp());
byId('mute').addEventListener('click', () => call?.mute(!call.muted));
byId('keypad').addEventListener('click', () => toggleKeys(byId('keys').hidden));
setInterval(() => {
  if (call?.accepted) byId('timer').textContent = durationWords(call.seconds);
}, 500);

loadIcons().catch(() => {});
document.documentElement.classList.toggle('framed', window.parent !== window);
byId('who').textContent = name || 'Call';
document.title = name ? `Call ${name}` : 'Call';
if (to) byId('start').disabled = false;
else
  notices.show('failed', 'error', 'The address of this page does not say whom to call; it ends in ?to= and a number.');
