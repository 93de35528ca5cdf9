/**
 * The `standard` dialect: oidc-provider, with JWT access tokens in front of its opaque ones.
 *
 * The library knows opaque tokens only. On the way out each becomes a JWT whose `jti` is the opaque
 * one; on the way in a JWT of ours is turned back. So refresh, revocation, introspection and
 * userinfo are the library's own, and claims and audience are those of both dialects.
 */
import { IncomingMessage, type ServerResponse } from 'node:http';
import { decodeJwt } from 'jose';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { DialectServer, IamEndpoint } from '../dialect-server.ts';
import {
  bearerToken,
  jsonReply,
  readBody,
  splitTarget,
  words,
  wordsOf,
  writeReply,
} from '../message.ts';
import type { Settings } from '../settings.ts';
import { configuration, routes } from './configuration.ts';
import { Interactions } from './interactions.ts';
import { loadProvider } from './load-provider.ts';
import { MemoryRecords } from './memory-adapter.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Endpoints that are given tokens in a form. */
const TAKE_TOKENS: readonly string[] = [routes.introspection, routes.revocation, routes.userinfo];

export async function createStandardServer(settings: Settings): Promise<DialectServer> {
  const records = new MemoryRecords();
  const OidcProvider = await loadProvider();
  const provider = new OidcProvider(settings.issuer, configuration(settings, records));
  return new StandardServer(settings, provider, records);
}

class StandardServer implements DialectServer {
  readonly #settings: Settings;
  readonly #records: MemoryRecords;
  readonly #library: Handler;
  readonly #interactions: Interactions;
  /** Audience asked for when the login began or was polled, by grant. */
  readonly #audiences = new Map<string, readonly string[]>();

  constructor(settings: Settings, provider: Provider, records: MemoryRecords) {
    this.#settings = settings;
    this.#records = records;
    this.#interactions = new Interactions(settings, provider, this.#audiences);
    provider.use(async (context, next) => {
      await next();
      await this.#rewriteReply(context as KoaContextWithOIDC);
    });
    this.#library = provider.callback();
  }

  endpointOf(path: string): IamEndpoint {
    switch (path) {
      case '/.well-known/openid-configuration':
        return 'discovery';
      case routes.jwks:
        return 'jwks';
      case routes.device_authorization:
        return 'device';
      case routes.token:
        return 'token';
      case routes.userinfo:
        return 'userinfo';
      case routes.introspection:
        return 'introspection';
      case routes.revocation:
        return 'revocation';
      case routes.authorization:
        return 'authorization';
      default:
        return path === routes.registration || path.startsWith(`${routes.registration}/`)
          ? 'registration'
          : 'page';
    }
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { path } = splitTarget(request.url ?? '/');
    if (path === routes.jwks) {
      // Ours, not the library's: keys rotate, and carry certificates.
      writeReply(response, jsonReply(200, { keys: this.#settings.keys.publicJwks }));
      return;
    }
    if (path.startsWith('/interaction/')) {
      await this.#interactions.handle(request, response);
      return;
    }
    if (path === routes.registration && !(await this.#mayRegister(request))) {
      writeReply(response, jsonReply(401, { error: 'invalid_token' }));
      return;
    }
    await this.#library(await this.#rewriteRequest(request, path), response);
  }

  /** With `registered-users`, a living access token of a person must come along. */
  async #mayRegister(request: IncomingMessage): Promise<boolean> {
    if (this.#settings.options.registration !== 'registered-users') return true;
    return await this.#settings.isPerson(bearerToken(request.headers));
  }

  expireRefreshTokens(): void {
    const tokens = this.#records.of('RefreshToken');
    const exp = Math.floor(Date.now() / 1000) - 1;
    for (const [id, payload] of tokens) tokens.set(id, { ...payload, exp });
  }

  revokeAll(): void {
    for (const model of ['RefreshToken', 'AccessToken', 'Grant']) this.#records.of(model).clear();
  }

  deleteClient(clientId: string): void {
    this.#records.dropClient(clientId);
  }

  /** The opaque token behind a JWT of ours; anything else as it is. */
  async #opaque(token: string): Promise<string> {
    return (await this.#settings.keys.open(token))?.jti ?? token;
  }

  /** The request as the library is to see it. */
  async #rewriteRequest(request: IncomingMessage, path: string): Promise<IncomingMessage> {
    const bearer = bearerToken(request.headers);
    if (bearer !== undefined) {
      request.headers.authorization = `Bearer ${await this.#opaque(bearer)}`;
    }
    if (request.method !== 'POST') return request;
    if (path === routes.registration) {
      return withBody(request, completeMetadata(await readBody(request)));
    }
    if (!TAKE_TOKENS.includes(path)) return request;
    const form = new URLSearchParams(await readBody(request));
    for (const name of ['token', 'access_token']) {
      const token = form.get(name);
      if (token !== null) form.set(name, await this.#opaque(token));
    }
    return withBody(request, form.toString());
  }

  async #rewriteReply(context: KoaContextWithOIDC): Promise<void> {
    if (context.status !== 200 || context.method !== 'POST') return;
    if (context.path === routes.token) await this.#rewriteTokens(context);
    const { pollIntervalSeconds } = this.#settings.options;
    if (context.path === routes.device_authorization && pollIntervalSeconds !== undefined) {
      context.body = { ...(context.body as object), interval: pollIntervalSeconds };
    }
  }

  /** Opaque access token → JWT; id_token → signed by the current key, at the skewed clock. */
  async #rewriteTokens(context: KoaContextWithOIDC): Promise<void> {
    const reply = context.body as { access_token: string; id_token?: string };
    context.body = {
      ...reply,
      access_token: await this.#accessToken(context, reply.access_token),
      ...(reply.id_token !== undefined && { id_token: await this.#idToken(reply.id_token) }),
    };
  }

  async #accessToken(context: KoaContextWithOIDC, opaque: string): Promise<string> {
    // The record, since the library's own object does not know its times.
    const token = this.#records.of('AccessToken').get(opaque);
    const user = this.#settings.people.bySub(token?.accountId ?? '');
    if (token?.iat === undefined || token.exp === undefined || user === undefined) return opaque;
    return await this.#settings.accessToken({
      user,
      clientId: token.clientId ?? '',
      scope: words(token.scope),
      audience: this.#audience(context, token.grantId ?? ''),
      profile: this.#settings.profileFor(words(context.oidc.client?.scope)),
      jti: opaque,
      issuedAt: token.iat,
      expiresAt: token.exp,
    });
  }

  /**
   * As asked now, else as asked when the login began. A poll's wish is remembered, a refresh's
   * counts for its token only.
   */
  #audience(context: KoaContextWithOIDC, grantId: string): readonly string[] {
    const { body } = context.oidc;
    const asked = wordsOf(body?.['audience']);
    if (asked.length === 0) return this.#audiences.get(grantId) ?? [];
    if (body?.['grant_type'] !== 'refresh_token') this.#audiences.set(grantId, asked);
    return asked;
  }

  async #idToken(token: string): Promise<string> {
    const claims = decodeJwt(token);
    const { skewSeconds } = this.#settings;
    const iat = (claims.iat ?? 0) + skewSeconds;
    const exp = (claims.exp ?? 0) + skewSeconds;
    return await this.#settings.keys.sign({ ...claims, iat, exp });
  }
}

/** The same request with another body. */
function withBody(request: IncomingMessage, body: string): IncomingMessage {
  const copy = new IncomingMessage(request.socket);
  copy.method = request.method ?? 'POST';
  copy.url = request.url ?? '/';
  copy.headers = { ...request.headers, 'content-length': String(Buffer.byteLength(body)) };
  copy.push(body);
  copy.push(null);
  // Or the end of the copy would be taken for a broken request, and cut the connection.
  copy.complete = true;
  return copy;
}

/**
 * A registration request whose absent `response_types` follows from its grants (RFC 7591 §2.1): the
 * library takes it for `code`, and then asks device clients for redirect URIs.
 */
function completeMetadata(body: string): string {
  try {
    const metadata = JSON.parse(body) as Readonly<Record<string, unknown>>;
    const grants = metadata['grant_types'];
    if (!Array.isArray(grants) || metadata['response_types'] !== undefined) return body;
    const responseTypes = grants.includes('authorization_code') ? ['code'] : [];
    return JSON.stringify({ ...metadata, response_types: responseTypes });
  } catch {
    // The library says what it thinks of broken JSON.
    return body;
  }
}
