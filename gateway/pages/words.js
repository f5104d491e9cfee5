// What the pages say about calls, in plain words. One place, so that both pages say the same.
// @ts-check

/** @typedef {import('./rtc-client.js').Call} Call */
/** @typedef {import('./rtc-client.js').Statistics} Statistics */

/** @type {Record<string, [string, string]>} By outcome; of calls that one makes, and of calls that one gets. */
const OUTCOMES = {
  hangup: ['The other side hung up', 'The other side hung up'],
  own_hangup: ['Call ended', 'Call ended'],
  cancelled: ['Call given up', 'Missed'],
  busy: ['Busy', 'Busy'],
  refused: ['Call refused', 'Refused'],
  offline: ['Not reachable now', 'Missed'],
  peer_offline: ['Not reachable now', 'Missed'],
  no_answer: ['No answer', 'Missed'],
  no_response: ['No answer', 'Missed'],
  expired: ['No answer', 'Missed'],
  answered_elsewhere: ['Answered on another device', 'Answered on another device'],
  refused_elsewhere: ['Refused on another device', 'Refused on another device'],
  network: ['The connection was lost', 'The connection was lost'],
  replaced: ['Ended: you logged in anew', 'Ended: you logged in anew'],
  shutdown: ['The telephone service is being restarted. Try again in a minute', 'The telephone service was stopped'],
  shutting_down: [
    'The telephone service is being restarted. Try again in a minute',
    'The telephone service was stopped',
  ],
  too_many_invitations: ['You have too many calls. End one first', ''],
  not_allowed: ['You may not call this number', ''],
};

/** @param {Call} call How it ended. */
export function outcomeWords(call) {
  const words = OUTCOMES[call.outcome];
  if (words) return words[call.incoming ? 1 : 0];
  if (call.error && call.error.code.startsWith('microphone')) return 'No microphone';
  if (call.accepted) return 'The call broke off';
  return call.incoming ? 'Missed' : 'The call did not come about';
}

/** @param {Call} call Whether somebody called in vain. */
export function isMissed(call) {
  return call.incoming && call.isOver && outcomeWords(call) === 'Missed';
}

/** @param {Call} call Where it stands now. @param {boolean} wasConnected Sound did flow before. */
export function stateWords(call, wasConnected) {
  if (call.isOver) return outcomeWords(call);
  if (call.accepted) {
    if (call.held) return 'On hold';
    if (!call.connected) return wasConnected ? 'Sound lost, reconnecting…' : 'Connecting…';
    return call.muted ? 'Connected, you are muted' : 'Connected';
  }
  if (call.incoming) return call.state === 'accept_sent' ? 'Connecting…' : 'Incoming call';
  if (call.state === 'idle') return 'Waiting for the microphone…';
  if (call.ringing) return 'Ringing…';
  return call.earlyMedia ? 'Connecting, listen…' : 'Calling…';
}

/** @param {Call} call Who is at the other end: the name if there is one. */
export function peerWords(call) {
  return call.name || call.peer || 'Number withheld';
}

/** @param {number} seconds */
export function durationWords(seconds) {
  const whole = Math.floor(seconds);
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

const QUALITIES = {
  unknown: 'Measuring',
  good: 'Good sound',
  fair: 'Fair sound',
  poor: 'Poor sound',
  bad: 'Bad sound',
};

/** @param {Statistics} statistics */
export function qualityWords(statistics) {
  return QUALITIES[statistics.quality];
}

/** @param {Statistics} statistics For who wants to know more. */
export function qualityDetails({ delayMs, jitterMs, lossReceived, lossSent }) {
  const loss = Math.max(lossReceived ?? 0, lossSent ?? 0);
  const parts = [];
  if (delayMs !== null) parts.push(`delay ${Math.round(delayMs)} ms`);
  if (jitterMs !== null) parts.push(`jitter ${Math.round(jitterMs)} ms`);
  if (lossReceived !== null) parts.push(`lost ${(loss * 100).toFixed(loss < 0.0995 && loss > 0 ? 1 : 0)}\u00a0%`);
  return parts.join(', ');
}
