/** What the page may ask for, parsed at the border; each answers with lines for the person. */
import { WireError } from '../../lib/wire-error.ts';
import type { LoginWork } from './login-work.ts';
import type { AskedLogin, AskedMount, PageHost } from './page-host.ts';
import type { NewsDesk } from './page-news.ts';
import type { PageWorks } from './page-works.ts';

export interface VerbParts {
  readonly host: PageHost;
  readonly news: NewsDesk;
  readonly login: LoginWork;
  readonly works: PageWorks;
  /** Aborts at the end of the page. */
  readonly end: AbortSignal;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Does what was asked; returns what is answered. */
export type Verb = (fields: Fields, parts: VerbParts) => Promise<object>;

/** By path, all of them POST. */
export const verbs: Readonly<Record<string, Verb>> = {
  '/login': async (fields, { login }) => {
    await Promise.resolve();
    login.start(readLogin(fields));
    return {};
  },
  '/login/cancel': async (_, { login }) => {
    await Promise.resolve();
    if (login.underWay) login.cancel();
    else login.clear();
    return {};
  },
  '/logout': async (fields, { host, works }) => {
    const issuer = readText(fields, 'issuer');
    const forget = readFlag(fields, 'forget');
    const lines = await works.run(
      { what: 'logout', place: issuer },
      async (_, signal) => await host.logOut(issuer, forget, signal),
    );
    return { lines };
  },
  '/mount': async (fields, { host, works }) => {
    const asked = readMount(fields);
    const place = asked.mountPoint ?? asked.names?.join(', ') ?? '';
    const lines = await works.run(
      { what: 'mount', place },
      async (_, signal) => await host.mount(asked, signal),
    );
    return { lines };
  },
  '/unmount': async (fields, { host, works, news }) => {
    const mountPoint = readMountPoint(fields, news, 'unmount');
    const lazy = readFlag(fields, 'lazy');
    const lines = await works.run(
      { what: 'unmount', place: mountPoint },
      async (progress, signal) => await host.unmount(mountPoint, lazy, progress, signal),
    );
    return { lines };
  },
  '/cancel': async (fields, { works }) => {
    await Promise.resolve();
    const id = fields['id'];
    if (typeof id === 'number') works.cancel(id);
    return {};
  },
  '/refresh': async (fields, { host, works, news }) => {
    const mountPoint = readMountPoint(fields, news, 'refresh');
    const lines = await works.run(
      { what: 'refresh', place: mountPoint },
      async (_, signal) => await host.refresh(mountPoint, signal),
    );
    return { lines };
  },
  '/cache/clear': async (_, { host, works }) => {
    const lines = await works.run(
      { what: 'clear', place: '' },
      async (_progress, signal) => await host.clearCache(signal),
    );
    return { lines };
  },
};

/** What a person types into one field: an address at most. */
const MAX_TEXT = 4096;
/** Mounts of a profile. */
const MAX_NAMES = 256;

export function readLogin(fields: Fields): AskedLogin {
  return textsOf(fields, ['profile', 'issuer', 'audience', 'scopes', 'clientId']);
}

export function readMount(fields: Fields): AskedMount {
  const { names } = fields;
  const isNames =
    Array.isArray(names) &&
    names.length <= MAX_NAMES &&
    names.every((name) => typeof name === 'string' && isText(name));
  if (names !== undefined && !isNames) throw malformed('names');
  return {
    ...textsOf(fields, [
      ...(['profile', 'source', 'mountPoint', 'endpoint', 'issuer', 'role'] as const),
      ...(['audience', 'stsEndpoint', 'region', 'cache', 'writeBack'] as const),
    ]),
    ...(isNames && names.length > 0 && { names: names.map(String) }),
    readOnly: readFlag(fields, 'readOnly'),
    makeFolder: readFlag(fields, 'makeFolder'),
  };
}

/** What stands for nothing is left out, as an empty field of a form is. */
function textsOf<Name extends string>(
  fields: Fields,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const texts: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = fields[name];
    if (value === undefined || value === '') continue;
    if (typeof value !== 'string' || !isText(value)) throw malformed(name);
    texts[name] = value;
  }
  return texts;
}

function readText(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '' && isText(value)) return value;
  throw malformed(name);
}

function readFlag(fields: Fields, name: string): boolean {
  const value = fields[name] ?? false;
  if (typeof value !== 'boolean') throw malformed(name);
  return value;
}

/** One of those that are shown: what others have mounted is none of this page's. */
function readMountPoint(fields: Fields, news: NewsDesk, verb: string): string {
  const mountPoint = readText(fields, 'mountPoint');
  if (news.status?.mounts.some((mount) => mount.mountPoint === mountPoint)) return mountPoint;
  const tried = `${verb} ${mountPoint}`;
  throw new WireError('not-found', { tried, answered: 'no mount of wire is there' });
}

function isText(text: string): boolean {
  return text.length <= MAX_TEXT && !/[\x00-\x1f\x7f]/.test(text);
}

function malformed(name: string): WireError {
  return new WireError('usage', { tried: 'do that', answered: `${name} is not what it should be` });
}
