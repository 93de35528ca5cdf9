/** Logins as JSON, for inside the sealed vault only. */
import type { BootMoment } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import { isObject } from './jwt.ts';
import type {
  PendingHolder,
  PendingRefresh,
  StoredAccess,
  StoredClient,
  StoredGrant,
  StoredLogin,
  StoredRegistration,
} from './token-vault.ts';

/** Secrets in clear: never to be written but sealed. */
export function encodeLogins(logins: readonly StoredLogin[]): string {
  return JSON.stringify(logins.map(revealed));
}

/** @throws Error on anything that `encodeLogins` does not write. */
export function decodeLogins(text: string): readonly StoredLogin[] {
  const json: unknown = JSON.parse(text);
  if (!Array.isArray(json)) throw new Error('not a list of logins');
  return json.map((item) => readLogin(new Fields(item)));
}

function revealed(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map(revealed);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, revealed(item)]));
}

function readLogin(fields: Fields): StoredLogin {
  const grant = fields.optional('grant', (value) => readGrant(new Fields(value)));
  return {
    issuer: fields.text('issuer'),
    client: readClient(new Fields(fields.value('client'))),
    ...defined({ grant }),
  };
}

function readClient(fields: Fields): StoredClient {
  const secret = fields.optional('secret', toSecret);
  const authMethod = fields.optional('authMethod', toText);
  const registration = fields.optional('registration', (value) =>
    readRegistration(new Fields(value)),
  );
  return { id: fields.text('id'), ...defined({ secret, authMethod, registration }) };
}

function readRegistration(fields: Fields): StoredRegistration {
  const optional = defined({
    scopes: fields.optional('scopes', toTexts),
    redirectUris: fields.optional('redirectUris', toTexts),
    uri: fields.optional('uri', toText),
    token: fields.optional('token', toSecret),
  });
  return { asked: toTexts(fields.value('asked')), ...optional };
}

function readGrant(fields: Fields): StoredGrant {
  const optional = defined({
    username: fields.optional('username', toText),
    audience: fields.optional('audience', toText),
    refreshToken: fields.optional('refreshToken', toSecret),
    refreshExpiresAtMs: fields.optional('refreshExpiresAtMs', toNumber),
    refreshIssuedAtMs: fields.optional('refreshIssuedAtMs', toNumber),
    rotates: fields.optional('rotates', toBoolean),
    pending: fields.optional('pending', (value) => readPending(new Fields(value))),
  });
  return {
    subject: fields.text('subject'),
    groups: toTexts(fields.value('groups')),
    scopes: toTexts(fields.value('scopes')),
    access: readAccess(new Fields(fields.value('access'))),
    ...optional,
  };
}

function readPending(fields: Fields): PendingRefresh {
  const holder = fields.optional('holder', (value) => readHolder(new Fields(value)));
  const refusedAtMs = fields.optional('refusedAtMs', toNumber);
  return { sentAtMs: toNumber(fields.value('sentAtMs')), ...defined({ holder, refusedAtMs }) };
}

function readHolder(fields: Fields): PendingHolder {
  return { process: fields.text('process'), nonce: fields.text('nonce') };
}

function readAccess(fields: Fields): StoredAccess {
  const audience = fields.optional('audience', toText);
  const expiresAtMs = fields.optional('expiresAtMs', toNumber);
  const askedScopes = fields.optional('askedScopes', toTexts);
  const issuedAtBoot = fields.optional('issuedAtBoot', (value) => readMoment(new Fields(value)));
  return {
    token: toSecret(fields.value('token')),
    scopes: toTexts(fields.value('scopes')),
    issuedAtMs: toNumber(fields.value('issuedAtMs')),
    ...defined({ audience, expiresAtMs, askedScopes, issuedAtBoot }),
  };
}

function readMoment(fields: Fields): BootMoment {
  return { start: fields.text('start'), ms: toNumber(fields.value('ms')) };
}

/** An object whose fields are checked as they are read. */
class Fields {
  readonly #json: Readonly<Record<string, unknown>>;

  constructor(json: unknown) {
    if (!isObject(json)) throw new Error('not an object');
    this.#json = json;
  }

  value(name: string): unknown {
    return this.#json[name];
  }

  text(name: string): string {
    return toText(this.#json[name]);
  }

  optional<T>(name: string, read: (value: unknown) => T): T | undefined {
    const value = this.#json[name];
    return value === undefined ? undefined : read(value);
  }
}

function toText(value: unknown): string {
  if (typeof value !== 'string') throw new Error('not a text');
  return value;
}

function toNumber(value: unknown): number {
  if (typeof value !== 'number') throw new Error('not a number');
  return value;
}

function toBoolean(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Error('not yes or no');
  return value;
}

function toTexts(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw new Error('not a list');
  return value.map(toText);
}

function toSecret(value: unknown): Secret {
  return new Secret(toText(value));
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** `fields` without the undefined ones, as `exactOptionalPropertyTypes` wants them. */
export function defined<T extends object>(fields: T): Defined<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Defined<T>;
}
