/** What mount(8) says to `/sbin/mount.wire`: `SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`. Pure. */
import { WireError } from '../../lib/wire-error.ts';

export interface HelperWords {
  /** What to mount: the first column of fstab(5). */
  readonly spec: string;
  readonly directory: string;
  /** The options, one each, quotes removed. */
  readonly options: readonly string[];
  /** Check everything, and mount nothing. */
  readonly fake: boolean;
  /** Leave out options that nobody knows. */
  readonly sloppy: boolean;
  readonly verbose: boolean;
}

const USAGE = 'write: mount -t wire SOURCE MOUNTPOINT [-o OPTION,OPTION=VALUE,...]';

/** @throws WireError `usage`. */
export function readHelperWords(words: readonly string[]): HelperWords {
  const places: string[] = [];
  const options: string[] = [];
  const letters = new Set<string>();
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const [, letter = '', value = ''] = /^-([Not])(.*)$/s.exec(word) ?? [];
    if (letter !== '') {
      const given = value === '' ? left.shift() : value;
      if (given === undefined) throw refusal(`-${letter}`, 'its value is missing');
      if (letter === 'N') throw refusal('-N', 'wire mounts only where it is called', enterFirst);
      if (letter === 'o') options.push(...splitOptions(given));
    } else if (/^-[sfnv]+$/.test(word)) for (const each of word.slice(1)) letters.add(each);
    else if (word.startsWith('-')) throw refusal(word, 'mount.wire has no such flag', USAGE);
    else places.push(word);
  }
  const [spec, directory, ...more] = places;
  if (spec === undefined || directory === undefined || more.length > 0) {
    throw refusal(places.join(' '), 'SOURCE and MOUNTPOINT are needed, and no more', USAGE);
  }
  const [fake, sloppy, verbose] = ['f', 's', 'v'].map((letter) => letters.has(letter));
  return { spec, directory, options, fake: !!fake, sloppy: !!sloppy, verbose: !!verbose };
}

const enterFirst = 'enter the namespace first: nsenter --mount=NAMESPACE mount …';

/** Commas separate, but not between double quotes (mount(8), `-o`). */
export function splitOptions(list: string): readonly string[] {
  const parts = list.match(/(?:"[^"]*"|[^,"]|")+/g) ?? [];
  return parts.map((part) => part.replaceAll('"', ''));
}

function refusal(word: string, answered: string, next?: string): WireError {
  const tried = `mount ${word}`.trimEnd();
  return new WireError('usage', { tried, answered, ...(next !== undefined && { next }) });
}
