/**
 * The page is drawn anew each second without losing what a person does with it: elements stay, and
 * only what differs is written. Text is always set as text: nothing that others wrote becomes markup.
 */

/** @typedef {string | Node | undefined | false} Child */

/**
 * The element of index.html with that id.
 *
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`there is no #${id}`);
}

/** @param {string} id */
export function element(id) {
  return byId(id, HTMLElement);
}

/**
 * The field of a form with that name.
 *
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function field(form, name) {
  const found = form.elements.namedItem(name);
  if (found instanceof HTMLInputElement || found instanceof HTMLSelectElement) return found;
  throw new Error(`there is no field ${name}`);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, string>>} attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== undefined && child !== false));
  return made;
}

/**
 * @param {string} tag
 * @param {Readonly<Record<string, string | number>>} attributes
 * @param {...Node} children
 */
export function makeSvg(tag, attributes, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * @param {string} label
 * @param {string} kind class
 * @param {() => void} press
 */
export function button(label, kind, press) {
  const made = make('button', { type: 'button', class: kind }, label);
  made.addEventListener('click', press);
  return made;
}

/**
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {Element} node
 * @param {string} name
 * @param {string} value
 */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Makes the children of `parent` those of `items`: one each, kept by its key, in their order.
 *
 * @template Item
 * @param {Element} parent
 * @param {readonly Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => { node: Element, update: (item: Item) => void }} create
 */
export function sync(parent, items, keyOf, create) {
  const kept = drawn.get(parent) ?? new Map();
  drawn.set(parent, kept);
  const keys = new Set(items.map(keyOf));
  for (const [key, { node }] of kept) {
    if (keys.has(key)) continue;
    node.remove();
    kept.delete(key);
  }
  items.forEach((item, at) => {
    const key = keyOf(item);
    const one = kept.get(key) ?? create(item);
    kept.set(key, one);
    one.update(item);
    // Moving an element that is in its place would take the focus from it.
    if (parent.children[at] !== one.node)
      parent.insertBefore(one.node, parent.children[at] ?? null);
  });
}

/**
 * Children by key, of each parent.
 *
 * @type {WeakMap<Element, Map<string, { node: Element, update: (item: any) => void }>>}
 */
const drawn = new WeakMap();

/**
 * Rows of a `<dl>`: what is told of something, one line each.
 *
 * @typedef {{ readonly name: string, readonly text: string, readonly tone?: 'warn' | 'bad' | undefined }} Fact
 */

/**
 * @param {HTMLElement} list
 * @param {readonly Fact[]} facts
 */
export function syncFacts(list, facts) {
  const parts = facts.flatMap((fact) => [
    { key: `${fact.name}?`, tag: /** @type {const} */ ('dt'), text: fact.name, tone: undefined },
    { key: fact.name, tag: /** @type {const} */ ('dd'), text: fact.text, tone: fact.tone },
  ]);
  sync(
    list,
    parts,
    ({ key }) => key,
    ({ tag }) => {
      const node = make(tag, {});
      return {
        node,
        update: ({ text, tone }) => {
          setText(node, text);
          setAttribute(node, 'class', tone ?? '');
        },
      };
    },
  );
}
