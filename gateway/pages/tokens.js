// How the pages get a token from the gateway that serves them.
// @ts-check

import { RtcError } from './rtc-client.js';

/**
 * @param {{user: string, password: string} | {to: string}} asked Who one is; or, for guests, what is to be called.
 * @returns {Promise<string>}
 * @throws {RtcError} `refused` if there is none to be had, otherwise `unreachable`; with words for people.
 */
export async function fetchToken(asked) {
  let answer;
  try {
    answer = await fetch(new URL('/rtc/token', import.meta.url), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(asked),
    });
  } catch {
    throw new RtcError('unreachable');
  }
  if (answer.ok) return (await answer.json()).token;
  const guest = 'to' in asked;
  if (answer.status === 401) throw new RtcError('refused', 'User or password is wrong.');
  if (answer.status === 429) {
    const seconds = Number(answer.headers.get('Retry-After')) || 5;
    throw new RtcError('refused', `Too many tries. Wait ${seconds} seconds, and try again.`);
  }
  if (answer.status === 403 && guest) throw new RtcError('refused', `${asked.to} cannot be called from this page.`);
  if (answer.status === 403 || answer.status === 404) {
    throw new RtcError(
      'refused',
      guest ? 'This site takes no calls from guests.' : 'This site has no logins with a password.',
    );
  }
  throw new RtcError('unreachable');
}
