/** XML as S3 writes and reads it: flat, no attributes that matter. */
import { S3Error } from './errors.ts';

export const xmlHead = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const s3Namespace = 'http://s3.amazonaws.com/doc/2006-03-01/';

// Control characters are not XML 1.0 but real servers write them as references.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be escaped
const unsafe = /[&<>"'\u0000-\u0008\u000b-\u001f\u007f]/g;

/** `text` as the content of an element. */
export function escapeXml(text: string): string {
  return text.replace(unsafe, (char) => {
    switch (char) {
      case '&':
        return '&amp;';
      case '<':
        return '&lt;';
      case '>':
        return '&gt;';
      case '"':
        return '&#34;';
      case "'":
        return '&#39;';
      default:
        return `&#x${char.charCodeAt(0).toString(16).toUpperCase()};`;
    }
  });
}

/** `<name>text</name>`, escaped; nothing when `value` is undefined. */
export function element(name: string, value: string | number | boolean | undefined): string {
  if (value === undefined) return '';
  return `<${name}>${typeof value === 'string' ? escapeXml(value) : String(value)}</${name}>`;
}

/** A whole answer with root `name`. */
export function xmlDocument(name: string, inner: string): string {
  return `${xmlHead}<${name} xmlns="${s3Namespace}">${inner}</${name}>`;
}

/** An element of a request's body: its text, and its child elements in order. */
export interface XmlElement {
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

/** A declaration or comment, a tag (name, attributes, `/`), or text. Attributes are not read. */
const tokenPattern =
  /<\?[^>]*\?>|<!--[^]*?-->|<(\/?)([A-Za-z_][\w.:-]*)((?:\s[^<>]*?)?)(\/?)>|([^<]+)/y;
/** S3's requests are three deep; a document that is much deeper is an attack on the stack. */
const MAX_DEPTH = 16;

/**
 * The root element, which has to be called `root`.
 *
 * @throws S3Error MalformedXML
 */
export function parseXml(text: string, root: string): XmlElement {
  const top: OpenElement = { name: '', text: '', children: [] };
  const open: OpenElement[] = [top];
  const token = new RegExp(tokenPattern);
  for (let at = 0; at < text.length; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(text);
    const parent = open.at(-1);
    if (match === null || parent === undefined) throw new S3Error('MalformedXML');
    const [, closing, name, , selfClosing, words] = match;
    if (words !== undefined) parent.text += unescapeXml(words);
    if (name === undefined) continue;
    if (closing === '/') {
      if (parent.name !== name || open.length === 1) throw new S3Error('MalformedXML');
      open.pop();
      continue;
    }
    const element: OpenElement = { name, text: '', children: [] };
    parent.children.push(element);
    if (selfClosing !== '/') open.push(element);
    if (open.length > MAX_DEPTH) throw new S3Error('MalformedXML');
  }
  const [only, ...more] = top.children;
  const isWhole = open.length === 1 && more.length === 0 && top.text.trim() === '';
  if (!isWhole || only?.name !== root) throw new S3Error('MalformedXML');
  return only;
}

const named: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

function unescapeXml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));?/gi, (_, hex, decimal, name) => {
    if (typeof name === 'string') return named[name] ?? malformed();
    const code = typeof hex === 'string' ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : malformed();
  });
}

function malformed(): never {
  throw new S3Error('MalformedXML');
}

/** The children called `name`. */
export function children(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((each) => each.name === name);
}

/** The text of the first child called `name`. */
export function childText(parent: XmlElement, name: string): string | undefined {
  return parent.children.find((each) => each.name === name)?.text;
}
