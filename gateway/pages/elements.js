// Pieces of page that both pages have: icons, the keypad, notices.
// @ts-check

/** @type {Record<string, string>} */
const LETTERS = {
  1: '',
  2: 'ABC',
  3: 'DEF',
  4: 'GHI',
  5: 'JKL',
  6: 'MNO',
  7: 'PQRS',
  8: 'TUV',
  9: 'WXYZ',
  '*': '',
  0: '+',
  '#': '',
};
const ICONS = 'icons.svg';
const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];
/** @type {Record<string, string>} */
const NAMES = { '*': 'star', '#': 'hash' };

/** @param {string} id @returns {any} The element; it must be there. */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is missing in the page`);
  return element;
}

let iconsAreHere = false;

/** Take all icons into the page: those that show that the connection is lost could not be fetched then. */
export async function loadIcons() {
  const answer = await fetch(ICONS);
  if (!answer.ok) return;
  const sprite = new DOMParser().parseFromString(await answer.text(), 'image/svg+xml').documentElement;
  sprite.setAttribute('class', 'unseen');
  sprite.setAttribute('aria-hidden', 'true');
  document.body.append(document.importNode(sprite, true));
  iconsAreHere = true;
  for (const use of document.querySelectorAll(`use[href^="${ICONS}"]`)) {
    use.setAttribute('href', use.getAttribute('href')?.replace(ICONS, '') ?? '');
  }
}

/** @param {string} name One of icons.svg. */
function addressOf(name) {
  return `${iconsAreHere ? '' : ICONS}#icon-${name}`;
}

/** @param {string} name One of icons.svg. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', addressOf(name));
  svg.append(use);
  return svg;
}

/** @param {Element} element With an icon in it. @param {string} name */
export function setIcon(element, name) {
  element.querySelector('use')?.setAttribute('href', addressOf(name));
}

/**
 * @param {string} tag @param {string} [className] @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, className = '', ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** @param {string} text @param {string} className @param {() => void} onClick @param {string} [iconName] */
export function button(text, className, onClick, iconName) {
  const made = /** @type {HTMLButtonElement} */ (make('button', className));
  made.type = 'button';
  if (iconName) made.append(icon(iconName));
  made.append(make('span', '', text));
  made.addEventListener('click', onClick);
  return made;
}

/**
 * A telephone's twelve keys.
 * @param {(key: string) => void} onKey
 * @param {string} label
 */
export function keypad(onKey, label) {
  const group = make('div', 'keypad');
  group.setAttribute('role', 'group');
  group.setAttribute('aria-label', label);
  for (const key of KEYS) {
    const made = make('button', 'key', make('span', 'key-digit', key), make('span', 'key-letters', LETTERS[key]));
    made.setAttribute('type', 'button');
    made.setAttribute('aria-label', NAMES[key] ?? key);
    made.addEventListener('click', () => onKey(key));
    group.append(made);
  }
  return group;
}

/** What the person must know now; each stays until it is taken back or closed. */
export class Notices {
  /** @param {HTMLElement} place A live region. */
  constructor(place) {
    this._place = place;
    /** @type {Map<string, HTMLElement>} */
    this._shown = new Map();
  }

  /**
   * @param {string} key One of a kind is shown at a time.
   * @param {'error' | 'warning'} kind @param {string} text
   * @param {{text: string, act: () => void}} [action]
   */
  show(key, kind, text, action) {
    this.clear(key);
    const notice = make('div', `notice notice-${kind}`, make('p', '', text));
    if (action) notice.append(button(action.text, 'button button-small', action.act));
    const close = button('Close', 'button-icon', () => this.clear(key), 'close');
    close.querySelector('span')?.classList.add('unseen');
    notice.append(close);
    this._shown.set(key, notice);
    this._place.append(notice);
  }

  /** @param {string} key */
  clear(key) {
    this._shown.get(key)?.remove();
    this._shown.delete(key);
  }
}
