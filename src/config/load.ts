/**
 * Reads the YAML configuration file. Every fault is found in one go and told with its line and
 * key, so that a person edits once:
 *
 *   profiles:
 *     NAME:
 *       issuer: https://iam.example
 *       endpoint: https://s3.example
 *       mounts:
 *         NAME: { source: s3://bucket, mountpoint: ~/data, read-only: true }
 */
import { readFile } from 'node:fs/promises';
import {
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { WireError } from '../lib/wire-error.ts';
import type { Config, ConfigFault, MountEntry, Profile } from './config.ts';
import { nearestWord } from './nearest-word.ts';
import { type Option, type OptionName, options, type Settings } from './options.ts';
import type { Parse, Parsed } from './parsed.ts';
import { parseSource } from './source.ts';
import { parseAbsolutePath, parseName } from './values.ts';

/** A configuration is written by hand; a larger file is something else. */
const MAX_CONFIG_CHARS = 1 << 20;

/**
 * The configuration at `path`; an absent file is an empty one unless `required`.
 *
 * @throws WireError `config`.
 */
export async function loadConfig(
  path: string,
  required: boolean,
  home: string | undefined,
  signal: AbortSignal,
): Promise<Config> {
  let text: string;
  try {
    text = await readFile(path, { encoding: 'utf8', signal });
  } catch (error) {
    signal.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    if (!required && (code === 'ENOENT' || code === 'ENOTDIR'))
      return { path, profiles: new Map() };
    throw new WireError('config', { tried: `read ${path}`, answered: code }, { cause: error });
  }
  return parseConfig(text, path, home);
}

/** @throws WireError `config` with every fault. */
export function parseConfig(text: string, path: string, home: string | undefined): Config {
  const { config, faults } = readConfig(text, path, home);
  if (faults.length === 0) return config;
  const answered = faults.map(faultLine).join('; ');
  const next = 'correct the file and try again';
  throw new WireError('config', { tried: `use ${path}`, answered, next });
}

/** What can be read of `text`, and everything that is wrong with it. Never throws. */
export function readConfig(
  text: string,
  path: string,
  home: string | undefined,
): { readonly config: Config; readonly faults: readonly ConfigFault[] } {
  const reader = new ConfigReader(text, home);
  const profiles = reader.read();
  return { config: { path, profiles }, faults: reader.faults };
}

function faultLine({ line, key, fault }: ConfigFault): string {
  return `line ${line}: ${key === '' ? '' : `${key} `}${fault}`;
}

/** Walks the document once and collects faults on the way. */
class ConfigReader {
  readonly faults: ConfigFault[] = [];
  readonly #text: string;
  readonly #home: string | undefined;
  readonly #lines = new LineCounter();

  constructor(text: string, home: string | undefined) {
    this.#text = text;
    this.#home = home;
  }

  read(): ReadonlyMap<string, Profile> {
    const profiles = new Map<string, Profile>();
    if (this.#text.length > MAX_CONFIG_CHARS) {
      this.#fault(undefined, '', 'the file is larger than 1 MiB');
      return profiles;
    }
    const document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of document.errors) this.#fault(error.pos[0], '', error.message);
    if (this.faults.length > 0 || document.contents === null) return profiles;
    this.#entries(document.contents, '', (key, value, pair) => {
      if (key !== 'profiles') {
        this.#unknownKey(pair, key, ['profiles']);
        return;
      }
      this.#entries(value, key, (name, body, at) => {
        this.#named(at, `${key}.${name}`, name);
        profiles.set(name, this.#profile(name, body, `${key}.${name}`));
      });
    });
    return profiles;
  }

  #profile(name: string, body: Node | null, path: string): Profile {
    const settings: Partial<Record<OptionName, unknown>> = {};
    const lines = new Map<OptionName, number>();
    const mounts = new Map<string, MountEntry>();
    const names = Object.keys(options) as OptionName[];
    this.#entries(body, path, (key, value, pair) => {
      const at = `${path}.${key}`;
      if (key === 'mounts') {
        this.#entries(value, at, (mount, facts, mountPair) => {
          this.#named(mountPair, `${at}.${mount}`, mount);
          const entry = this.#mount(mount, facts, `${at}.${mount}`, mountPair);
          if (entry !== undefined) mounts.set(mount, entry);
        });
        return;
      }
      const option = names.find((candidate) => options[candidate].key === key);
      if (option === undefined) {
        this.#unknownKey(pair, at, [...names.flatMap((n) => options[n].key ?? []), 'mounts']);
        return;
      }
      const { parse }: Option<unknown> = options[option];
      const parsed = this.#scalar(value, pair, at, parse);
      if (parsed === undefined) return;
      settings[option] = parsed;
      lines.set(option, this.#lineAt(start(pair.key)));
    });
    // Each value came out of its own option's parse.
    return { name, settings: settings as Settings, lines, mounts };
  }

  #mount(name: string, body: Node | null, path: string, pair: Pair): MountEntry | undefined {
    const facts: { source?: MountEntry['source']; mountPoint?: string; readOnly?: boolean } = {};
    const given = new Set<string>();
    this.#entries(body, path, (key, value, at) => {
      const where = `${path}.${key}`;
      given.add(key);
      if (key === 'source')
        Object.assign(facts, { source: this.#scalar(value, at, where, parsePlace) });
      else if (key === 'mountpoint') {
        const parse: Parse<string> = (text) => parseAbsolutePath(text, this.#home);
        Object.assign(facts, { mountPoint: this.#scalar(value, at, where, parse) });
      } else if (key === 'read-only') {
        Object.assign(facts, { readOnly: this.#scalar(value, at, where, parseBoolean) });
      } else this.#unknownKey(at, where, ['source', 'mountpoint', 'read-only']);
    });
    if (!given.has('source')) this.#fault(start(pair.key), path, 'has no source');
    const { source, mountPoint, readOnly = false } = facts;
    if (source === undefined) return undefined;
    const entry = { name, source, readOnly };
    return mountPoint === undefined ? entry : { ...entry, mountPoint };
  }

  /** Calls `each` for the entries of a mapping; anything else but nothing is a fault. */
  #entries(
    node: Node | null,
    path: string,
    each: (key: string, value: Node | null, pair: Pair) => void,
  ): void {
    if (node === null || (isScalar(node) && node.value === null)) return;
    if (!isMap(node)) {
      this.#fault(start(node), path, 'must be a mapping of keys to values');
      return;
    }
    for (const pair of (node as YAMLMap<unknown, Node | null>).items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : undefined;
      if (key === undefined) this.#fault(start(pair.key), path, 'has a key that is not a word');
      else each(key, pair.value, pair);
    }
  }

  /** The value of a scalar (or of a list of words, joined by spaces) by `parse`. */
  #scalar<T>(node: Node | null, pair: Pair, path: string, parse: Parse<T>): T | undefined {
    const text = textOf(node);
    const at = node === null ? start(pair.key) : start(node);
    if (text === undefined) {
      this.#fault(at, path, 'must be a single value');
      return undefined;
    }
    const parsed = parse(text);
    if (parsed.ok) return parsed.value;
    this.#fault(at, path, parsed.fault);
    return undefined;
  }

  #named(pair: Pair, path: string, name: string): void {
    const parsed = parseName(name);
    if (!parsed.ok) this.#fault(start(pair.key), path, parsed.fault);
  }

  #unknownKey(pair: Pair, path: string, known: readonly string[]): void {
    const meant = nearestWord(path.slice(path.lastIndexOf('.') + 1), known);
    const next = meant === undefined ? `known are ${known.join(', ')}` : `is ${meant} meant?`;
    this.#fault(start(pair.key), path, `is not known here: ${next}`);
  }

  #fault(offset: number | undefined, key: string, fault: string): void {
    this.faults.push({ line: this.#lineAt(offset), key, fault });
  }

  #lineAt(offset: number | undefined): number {
    return offset === undefined ? 1 : this.#lines.linePos(offset).line;
  }
}

function start(node: unknown): number | undefined {
  const range = (node as Node | null | undefined)?.range;
  return range?.[0];
}

/** What was typed: `source` keeps the text of numbers and dates as written. */
function textOf(node: Node | null): string | undefined {
  if (isScalar(node) && node.value !== null) return node.source ?? JSON.stringify(node.value);
  if (!isSeq(node)) return undefined;
  const words = node.items.map((item) => textOf(item as Node));
  return words.every((word) => word !== undefined) ? words.join(' ') : undefined;
}

function parseBoolean(text: string): Parsed<boolean> {
  if (text === 'true' || text === 'false') return { ok: true, value: text === 'true' };
  return { ok: false, fault: 'must be true or false' };
}

function parsePlace(text: string): Parsed<MountEntry['source']> {
  const parsed = parseSource(text);
  if (!parsed.ok) return parsed;
  if (parsed.value.kind !== 'named') return { ok: true, value: parsed.value };
  return { ok: false, fault: 'must be s3://BUCKET[/PREFIX] or s3://' };
}
