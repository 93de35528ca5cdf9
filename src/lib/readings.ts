/**
 * What a text says once its quoting is undone: percent-encoding, the escapes of JSON and XML, line
 * breaks. Each character of a reading knows where in the text it comes from. Pure.
 */

/** Part of a text, `end` not included. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Reading {
  readonly text: string;
  /** Where each character comes from; absent: from where it is. */
  readonly origins?: { readonly starts: readonly number[]; readonly ends: readonly number[] };
}

/** One way of quoting, and how it is undone. */
interface Quoting {
  readonly runs: RegExp;
  readonly undo: (run: string) => string;
}

/** RFC 3986 section 2.1, a `+` being itself. */
const percent: Quoting = {
  runs: /(?:%[0-9a-f]{2})+/gi,
  undo: (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
};

/** A JSON string (RFC 8259 section 7). */
const json: Quoting = {
  runs: /\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])/g,
  undo: (run) => JSON.parse(`"${run}"`) as string,
};

const entities: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" },
};

/** XML 1.0 sections 4.1 and 4.6. */
const xml: Quoting = {
  runs: /&(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-f]{1,6});/gi,
  undo: (run) => {
    const name = run.slice(1, -1).toLowerCase();
    if (!name.startsWith('#')) return entities[name] ?? run;
    const point = Number(name.startsWith('#x') ? `0${name.slice(1)}` : name.slice(1));
    return point <= 0x10_ffff ? String.fromCodePoint(point) : run;
  },
};

const lineBreaks: Quoting = { runs: /\r?\n[ \t]*/g, undo: () => '' };

const quotings = [percent, json, xml];

/** A server that quotes what a server quoted what a client sent. */
const DEEPEST = 3;

/** `text` itself first, then what it says when more and more of its quoting is undone. */
export function readings(text: string): readonly Reading[] {
  const plain = { text };
  const found: Reading[] = [plain];
  if (text.includes('\n')) found.push(undone(plain, lineBreaks));
  // One at a time: what looks like another may be a part of the secret itself.
  for (const quoting of quotings) {
    let reading: Reading = plain;
    for (let depth = 0; depth < DEEPEST && reading.text.search(quoting.runs) >= 0; depth++) {
      reading = undone(reading, quoting);
      found.push(reading);
    }
  }
  const isQuoted = quotings.some(({ runs }) => text.search(runs) >= 0);
  return isQuoted ? [...found, ...mixed(plain)] : found;
}

/** Quotings within each other: everything undone, again and again. */
function mixed(plain: Reading): readonly Reading[] {
  const found: Reading[] = [];
  let reading = plain;
  for (let depth = 0; depth < DEEPEST; depth++) {
    for (const quoting of quotings) reading = undone(reading, quoting);
    found.push(reading);
  }
  return found;
}

/** The part of the text that characters `start` to `end` of `reading` come from. */
export function originOf({ origins }: Reading, { start, end }: Span): Span {
  if (origins === undefined) return { start, end };
  return { start: origins.starts[start] ?? 0, end: origins.ends[end - 1] ?? 0 };
}

/** A character of an undone run comes from the whole run: what is blanked then is a bit too much. */
function undone(reading: Reading, { runs, undo }: Quoting): Reading {
  const starts: number[] = [];
  const ends: number[] = [];
  let text = '';
  let at = 0;
  const push = (span: Span, times: number): void => {
    const { start, end } = originOf(reading, span);
    for (let count = 0; count < times; count++) {
      starts.push(start);
      ends.push(end);
    }
  };
  const keep = (end: number): void => {
    text += reading.text.slice(at, end);
    for (; at < end; at++) push({ start: at, end: at + 1 }, 1);
  };
  for (const { 0: run, index } of reading.text.matchAll(runs)) {
    keep(index);
    const characters = undo(run);
    text += characters;
    at = index + run.length;
    push({ start: index, end: at }, characters.length);
  }
  keep(reading.text.length);
  return { text, origins: { starts, ends } };
}
