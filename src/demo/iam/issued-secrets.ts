/**
 * Every secret that left the IAM, whichever dialect wrote it: tests look for them where none may
 * be. Harvested from the replies themselves, so that no way out is forgotten.
 */
import type { ServerResponse } from 'node:http';

/** Fields of JSON replies that are secrets. */
const FIELDS = [
  'access_token',
  'refresh_token',
  'id_token',
  'device_code',
  'client_secret',
  'registration_access_token',
] as const;
export type SecretKind = (typeof FIELDS)[number] | 'code';

export interface IssuedSecret {
  readonly kind: SecretKind;
  readonly value: string;
}

/** All overloads of `write` and `end` at once. */
type Writer<T> = (...args: unknown[]) => T;

export class IssuedSecrets {
  readonly #found = new Map<string, IssuedSecret>();

  /** In order of their first appearance. */
  get all(): readonly IssuedSecret[] {
    return [...this.#found.values()];
  }

  /** Reads along what is written to `response`. */
  watch(response: ServerResponse): void {
    const chunks: Buffer[] = [];
    const keep = (chunk: unknown): void => {
      if (typeof chunk === 'string') chunks.push(Buffer.from(chunk));
      else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk));
    };
    const write = response.write.bind(response) as Writer<boolean>;
    const end = response.end.bind(response) as Writer<ServerResponse>;
    response.write = (...args: unknown[]): boolean => {
      keep(args[0]);
      return write(...args);
    };
    response.end = (...args: unknown[]): ServerResponse => {
      keep(args[0]);
      this.#harvest(response, Buffer.concat(chunks).toString('utf8'));
      return end(...args);
    };
  }

  #harvest(response: ServerResponse, body: string): void {
    // After writeHead with an object no header can be asked for: the body says itself what it is.
    if (body.startsWith('{')) this.#fromJson(body);
    const location = response.getHeader('location');
    if (typeof location !== 'string' || !URL.canParse(location)) return;
    const code = new URL(location).searchParams.get('code');
    if (code !== null) this.#add('code', code);
  }

  #fromJson(body: string): void {
    let json: Readonly<Record<string, unknown>>;
    try {
      json = JSON.parse(body) as Readonly<Record<string, unknown>>;
    } catch {
      return;
    }
    for (const kind of FIELDS) {
      const value = json[kind];
      if (typeof value === 'string') this.#add(kind, value);
    }
  }

  #add(kind: SecretKind, value: string): void {
    if (!this.#found.has(value)) this.#found.set(value, { kind, value });
  }
}
