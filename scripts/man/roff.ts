/** Text as man(7) wants it. Pure. */

/** Within a line: backslashes and hyphens as they are typed. */
export function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}

/** A line of text: one that begins like a request is none. */
export function line(text: string): string {
  const plain = escaped(text);
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}

/** What `mandoc -T lint` likes a line of the source to be at most. */
const MAX_CHARS = 78;

/** Text of any length, in lines. */
function filled(text: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((each) => each !== '')) {
    const last = lines.at(-1);
    if (last === undefined || escaped(`${last} ${word}`).length > MAX_CHARS) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((each) =>
    line(each).replaceAll(LONG_WORD, (word) => word.replaceAll(',', ',\\:')),
  );
}

/** A list that no line has room for: it may be broken behind its commas. */
const LONG_WORD = /\S{40,}/g;

export function bold(text: string): string {
  return `\\fB${escaped(text)}\\fR`;
}

export function italic(text: string): string {
  return `\\fI${escaped(text)}\\fR`;
}

export interface PageFacts {
  readonly name: string;
  readonly section: number;
  /** `2026-11-22` */
  readonly date: string;
  readonly version: string;
  /** What it is, in one line. */
  readonly summary: string;
}

/** Heading and NAME. */
export function head({ name, section, date, version, summary }: PageFacts): readonly string[] {
  return [
    '.\\" Made from the commands and options themselves; changes here are lost.',
    `.TH ${escaped(name).toUpperCase()} ${section} "${date}" "wire ${version}" "wire"`,
    // No blanks between words, and no hyphens, to make lines even.
    '.ad l',
    '.nh',
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(summary)}`,
  ];
}

export function section(title: string, body: readonly string[]): readonly string[] {
  return body.length === 0 ? [] : [`.SH ${escaped(title)}`, ...body];
}

/** Paragraphs are apart by an empty line; other ends of lines mean nothing. */
export function paragraphs(text: string): readonly string[] {
  const each = text.trim().split(/\n{2,}/);
  return each.flatMap((part, at) => [...(at === 0 ? [] : ['.PP']), ...filled(part)]);
}

/** Something with its explanation beside or below it. `term` is roff already. */
export function item(term: string, text: string): readonly string[] {
  return ['.TP', term, ...(text === '' ? ['\\&'] : filled(text))];
}

/** Lines as they stand. */
export function verbatim(lines: readonly string[]): readonly string[] {
  return ['.nf', '.RS 4', ...lines.map(line), '.RE', '.fi'];
}

/** `wire\-mount(1)`, all in one sentence's order. */
export function seeAlso(pages: readonly (readonly [string, number])[]): readonly string[] {
  return pages.map(([name, number], at) => {
    const comma = at < pages.length - 1 ? ' ,' : '';
    return `.BR ${escaped(name)} (${number})${comma}`;
  });
}
