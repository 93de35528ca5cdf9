/**
 * `/iam/api/client-registration` of the `indigo` dialect (RFC 7591 and 7592, in INDIGO IAM's way):
 * errors hold only `error`, as free text; the reply has neither `client_secret_expires_at` nor
 * `client_id_issued_at`.
 */
import {
  bearerToken,
  emptyReply,
  type IamRequest,
  jsonReply,
  type Reply,
  words,
} from '../message.ts';
import type { Settings } from '../settings.ts';
import { DEVICE_GRANT } from './device-endpoint.ts';
import { Refusal } from './oauth-error.ts';
import { type IndigoStore, newId, newSecret, type RegisteredClient } from './store.ts';

export const REGISTRATION_PATH = '/iam/api/client-registration';

const DEFAULT_SCOPE = 'address phone openid profile email';

/** What anonymous clients do not get, and are not told. */
const RESTRICTED_SCOPE = /^storage\.|^scim:|^registration-token$/;

const ANONYMOUS_GRANTS = [DEVICE_GRANT, 'refresh_token', 'authorization_code', 'implicit'];

const AUTH_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'none',
];

export class RegistrationEndpoint {
  readonly #settings: Settings;
  readonly #store: IndigoStore;

  constructor(settings: Settings, store: IndigoStore) {
    this.#settings = settings;
    this.#store = store;
  }

  /** `request.path` is `REGISTRATION_PATH`, or that and a client id. */
  async answer(request: IamRequest): Promise<Reply> {
    if (request.path === REGISTRATION_PATH) {
      return request.method === 'POST' ? await this.#register(request) : emptyReply(405);
    }
    const client = this.#owned(request);
    switch (request.method) {
      case 'GET':
        return jsonReply(200, this.#describe(client));
      case 'PUT':
        return this.#replace(request, client);
      case 'DELETE':
        this.#store.deleteClient(client.clientId);
        return emptyReply(204);
      default:
        return emptyReply(405);
    }
  }

  async #register(request: IamRequest): Promise<Reply> {
    const { registration = 'anyone' } = this.#settings.options;
    if (registration === 'disabled') throw freeText(400, 'Client registration is disabled');
    const byPerson = await this.#settings.isPerson(bearerToken(request.headers));
    if (registration === 'registered-users' && !byPerson) {
      throw freeText(403, 'User is not allowed to register clients');
    }
    const document = parseDocument(request.body);
    if (document['client_id'] !== undefined) throw freeText(400, 'client_id must be null');
    const asked = parseMetadata(document);
    const client: RegisteredClient = {
      ...asked,
      clientId: newId(),
      secret: asked.authMethod === 'none' ? undefined : newSecret(),
      registrationToken: byPerson ? undefined : await this.#registrationToken(),
      createdAtMs: this.#settings.clock.now(),
    };
    this.#store.clients.set(client.clientId, client);
    return jsonReply(201, {
      ...this.#describe(client),
      ...(client.registrationToken !== undefined && {
        registration_access_token: client.registrationToken,
      }),
    });
  }

  /** Keeps identity, secret and registration token; takes the rest from the request. */
  #replace(request: IamRequest, client: RegisteredClient): Reply {
    const replaced = { ...client, ...parseMetadata(parseDocument(request.body)) };
    this.#store.clients.set(client.clientId, replaced);
    return jsonReply(200, this.#describe(replaced));
  }

  /** The client that a registration token may manage. */
  #owned(request: IamRequest): RegisteredClient {
    const token = bearerToken(request.headers);
    const owned = [...this.#store.clients.values()].find(
      (client) => token !== undefined && client.registrationToken === token,
    );
    if (owned === undefined) {
      throw new Refusal(jsonReply(401, { error: 'invalid_token' }));
    }
    const clientId = request.path.slice(REGISTRATION_PATH.length + 1);
    if (owned.clientId !== clientId) throw freeText(400, 'Client id does not match the token');
    return owned;
  }

  /** A JWT without `exp`: registrations are managed for as long as they exist. */
  async #registrationToken(): Promise<string> {
    return await this.#settings.keys.sign({
      iss: this.#settings.issuer,
      jti: newId(),
      scope: 'registration-token',
    });
  }

  #describe(client: RegisteredClient): Record<string, unknown> {
    return {
      client_id: client.clientId,
      ...(client.secret !== undefined && { client_secret: client.secret }),
      client_name: client.name,
      grant_types: client.grantTypes,
      ...(client.redirectUris.length > 0 && { redirect_uris: client.redirectUris }),
      token_endpoint_auth_method: client.authMethod,
      scope: client.scope.toReversed().join(' '),
      reuse_refresh_token: !this.#settings.rotates,
      dynamically_registered: true,
      clear_access_tokens_on_refresh: true,
      require_auth_time: false,
      registration_client_uri: `${this.#settings.issuer}${REGISTRATION_PATH.slice(1)}/${client.clientId}`,
      created_at: client.createdAtMs,
      active: true,
    };
  }
}

type AskedMetadata = Pick<
  RegisteredClient,
  'name' | 'grantTypes' | 'scope' | 'authMethod' | 'redirectUris'
>;

type Document = Readonly<Record<string, unknown>>;

/** @throws Refusal 400 without a body when this is no JSON object. */
function parseDocument(body: string): Document {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    throw new Refusal(emptyReply(400));
  }
  if (typeof parsed !== 'object' || parsed === null) throw new Refusal(emptyReply(400));
  return parsed as Document;
}

/** @throws Refusal 400, with free text or (unknown authentication method) with nothing. */
function parseMetadata(document: Document): AskedMetadata {
  const name = document['client_name'];
  if (typeof name !== 'string' || name.length < 4 || name.length > 256) {
    throw freeText(400, 'client_name: size must be between 4 and 256');
  }
  const { scope } = document;
  const asked = words(typeof scope === 'string' ? scope : DEFAULT_SCOPE);
  const refresh = asked.includes('offline_access') ? ['refresh_token'] : [];
  const grantTypes = [
    ...new Set([...(strings(document['grant_types']) ?? ['authorization_code']), ...refresh]),
  ];
  const forbidden = grantTypes.find((grant) => !ANONYMOUS_GRANTS.includes(grant));
  if (forbidden !== undefined) throw freeText(400, `Grant type not allowed: ${forbidden}`);
  const authMethod = document['token_endpoint_auth_method'] ?? 'client_secret_basic';
  if (typeof authMethod !== 'string' || !AUTH_METHODS.includes(authMethod)) {
    throw new Refusal(emptyReply(400));
  }
  const redirectUris = strings(document['redirect_uris']) ?? [];
  const bad = redirectUris.find((uri) => !URL.canParse(uri));
  if (bad !== undefined) throw freeText(400, `Invalid redirect URI: ${bad}`);
  return {
    name,
    grantTypes,
    authMethod,
    redirectUris,
    scope: asked.filter((word) => !RESTRICTED_SCOPE.test(word)),
  };
}

function strings(value: unknown): string[] | undefined {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined;
}

function freeText(status: number, error: string): Refusal {
  return new Refusal(jsonReply(status, { error }));
}
