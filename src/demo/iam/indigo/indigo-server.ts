/** INDIGO IAM 1.12 as measured on the wire: its routes, its ways of saying no. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DialectServer, IamEndpoint } from '../dialect-server.ts';
import {
  emptyReply,
  type IamRequest,
  jsonReply,
  type Reply,
  readRequest,
  writeReply,
} from '../message.ts';
import type { IamClient } from '../options.ts';
import type { Settings } from '../settings.ts';
import { DEVICE_GRANT, startDeviceLogin } from './device-endpoint.ts';
import { indigoDiscovery } from './discovery.ts';
import { Refusal } from './oauth-error.ts';
import { PersonPages } from './person-pages.ts';
import { REGISTRATION_PATH, RegistrationEndpoint } from './registration-endpoint.ts';
import { IndigoStore, type RegisteredClient } from './store.ts';
import { TokenEndpoint } from './token-endpoint.ts';
import { TokenStatus } from './token-status.ts';
import { TokenWriter } from './token-writer.ts';

const DISCOVERY_PATH = '/.well-known/openid-configuration';

/** Seconds that INDIGO IAM lets its keys be cached. */
const JWKS_CACHE_SECONDS = 21_600;

interface Route {
  readonly endpoint: IamEndpoint;
  readonly method: 'GET' | 'POST' | 'any';
  readonly answer: (request: IamRequest) => Reply | Promise<Reply>;
}

export class IndigoServer implements DialectServer {
  readonly #settings: Settings;
  readonly #store = new IndigoStore();
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #registration: RegistrationEndpoint;

  constructor(settings: Settings) {
    this.#settings = settings;
    for (const client of settings.options.clients ?? []) {
      this.#store.clients.set(client.clientId, preRegistered(client, settings.clock.now()));
    }
    this.#registration = new RegistrationEndpoint(settings, this.#store);
    this.#routes = this.#makeRoutes();
  }

  endpointOf(path: string): IamEndpoint {
    return this.#routeOf(path)?.endpoint ?? 'page';
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const read = await readRequest(request);
    try {
      writeReply(response, await this.#answer(read));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      writeReply(response, error.reply);
    }
  }

  expireRefreshTokens(): void {
    const now = this.#settings.now();
    for (const [value, token] of this.#store.refreshTokens) {
      this.#store.refreshTokens.set(value, { ...token, expiresAt: now });
    }
  }

  revokeAll(): void {
    this.#store.revokeAll();
  }

  deleteClient(clientId: string): void {
    this.#store.deleteClient(clientId);
  }

  async #answer(request: IamRequest): Promise<Reply> {
    const route = this.#routeOf(request.path);
    if (route === undefined) return emptyReply(404);
    if (route.method !== 'any' && route.method !== request.method) return emptyReply(405);
    return await route.answer(request);
  }

  #routeOf(path: string): Route | undefined {
    if (path.startsWith(`${REGISTRATION_PATH}/`)) return this.#routes.get(REGISTRATION_PATH);
    // An issuer with its slash, joined without care, gives two: INDIGO IAM answers all the same.
    return this.#routes.get(path.startsWith('//') ? path.slice(1) : path);
  }

  #makeRoutes(): ReadonlyMap<string, Route> {
    const settings = this.#settings;
    const store = this.#store;
    const tokens = new TokenEndpoint(settings, store, new TokenWriter(settings, store));
    const status = new TokenStatus(settings, store);
    const pages = new PersonPages(settings, store);
    const discovery = (): Reply => jsonReply(200, indigoDiscovery(settings.issuer));
    const registration = this.#registration;
    return new Map<string, Route>([
      [DISCOVERY_PATH, route('discovery', 'GET', discovery)],
      ['/jwk', route('jwks', 'GET', () => jwks(settings))],
      ['/devicecode', route('device', 'POST', (asked) => startDeviceLogin(asked, settings, store))],
      ['/token', route('token', 'POST', async (asked) => await tokens.answer(asked))],
      ['/userinfo', route('userinfo', 'any', (asked) => status.userinfo(asked))],
      ['/introspect', route('introspection', 'POST', (asked) => status.introspect(asked))],
      ['/revoke', route('revocation', 'POST', (asked) => status.revoke(asked))],
      [
        REGISTRATION_PATH,
        route('registration', 'any', async (asked) => await registration.answer(asked)),
      ],
      ['/authorize', route('authorization', 'any', (asked) => pages.authorize(asked))],
      ['/login', route('page', 'any', (asked) => pages.login(asked))],
      ['/device', route('page', 'any', (asked) => pages.device(asked))],
      ['/', route('page', 'any', () => emptyReply(200))],
    ]);
  }
}

function route(endpoint: IamEndpoint, method: Route['method'], answer: Route['answer']): Route {
  return { endpoint, method, answer };
}

/** The default keystore of INDIGO IAM publishes no more than this; with x5c, as set up for Ceph. */
function jwks(settings: Settings): Reply {
  const keys = settings.keys.publicJwks.map(({ kty, e, kid, n, x5c }) => ({
    kty,
    e,
    kid,
    n,
    ...(x5c !== undefined && { x5c }),
  }));
  return jsonReply(200, { keys }, { 'cache-control': `max-age=${JWKS_CACHE_SECONDS}` });
}

function preRegistered(client: IamClient, createdAtMs: number): RegisteredClient {
  const scope = client.scope ?? 'openid profile email offline_access';
  return {
    clientId: client.clientId,
    secret: client.clientSecret,
    name: client.name ?? client.clientId,
    grantTypes: [DEVICE_GRANT, 'refresh_token', 'authorization_code'],
    scope: scope.split(' '),
    authMethod: client.clientSecret === undefined ? 'none' : 'client_secret_basic',
    redirectUris: client.redirectUris ?? [],
    registrationToken: undefined,
    createdAtMs,
  };
}
