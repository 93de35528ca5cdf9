/** `POST /token` of the `indigo` dialect. */
import { createHash } from 'node:crypto';
import { type IamRequest, type Reply, words } from '../message.ts';
import type { IamUser } from '../options.ts';
import type { Settings } from '../settings.ts';
import { authenticateClient } from './client-auth.ts';
import { DEVICE_GRANT } from './device-endpoint.ts';
import { refuse } from './oauth-error.ts';
import { type IndigoStore, type Login, newId, type RegisteredClient } from './store.ts';
import type { TokenWriter } from './token-writer.ts';

export class TokenEndpoint {
  readonly #settings: Settings;
  readonly #store: IndigoStore;
  readonly #writer: TokenWriter;

  constructor(settings: Settings, store: IndigoStore, writer: TokenWriter) {
    this.#settings = settings;
    this.#store = store;
    this.#writer = writer;
  }

  async answer(request: IamRequest): Promise<Reply> {
    const client = authenticateClient(request, this.#store);
    const grantType = request.form.get('grant_type');
    if (grantType === null) throw refuse(500, 'server_error', 'Missing grant type');
    if (!client.grantTypes.includes(grantType)) {
      throw refuse(401, 'invalid_client', `Unauthorized grant type: ${grantType}`);
    }
    switch (grantType) {
      case DEVICE_GRANT:
        return await this.#poll(request, client);
      case 'refresh_token':
        return await this.#refresh(request, client);
      case 'authorization_code':
        return await this.#redeem(request, client);
      default:
        throw refuse(400, 'unsupported_grant_type', `Unsupported grant type: ${grantType}`);
    }
  }

  async #poll({ form }: IamRequest, client: RegisteredClient): Promise<Reply> {
    const code = form.get('device_code') ?? '';
    const device = this.#store.deviceLogins.get(code);
    if (device?.clientId !== client.clientId) {
      throw refuse(400, 'invalid_grant', `Invalid device code: ${code}`);
    }
    if (device.expiresAt <= this.#settings.now()) {
      // Told once; afterwards the code is unknown.
      this.#store.deviceLogins.delete(code);
      throw refuse(400, 'expired_token', `Device code has expired: ${code}`);
    }
    if (device.approvedBy === undefined) {
      throw refuse(400, 'authorization_pending', `Authorization pending for code: ${code}`);
    }
    const user = this.#activeUser(device.approvedBy);
    const audience = requestedAudience(form, device.resource);
    this.#store.deviceLogins.delete(code);
    return await this.#writer.reply({
      user,
      scope: device.scope,
      audience,
      login: {
        id: newId(),
        clientId: client.clientId,
        sub: user.sub,
        scope: device.scope,
        audience,
        bound: device.resource.length > 0,
      },
    });
  }

  async #refresh({ form }: IamRequest, client: RegisteredClient): Promise<Reply> {
    const value = form.get('refresh_token');
    if (value === null) throw refuse(500, 'server_error', 'Missing refresh token');
    const token = this.#store.refreshTokens.get(value);
    if (token?.login.clientId !== client.clientId || token.expiresAt <= this.#settings.now()) {
      throw refuse(401, 'invalid_token', `Invalid refresh token: ${value}`);
    }
    const { login } = token;
    const user = this.#activeUser(login.sub);
    const scope = form.has('scope') ? words(form.get('scope')) : login.scope;
    if (scope.some((word) => !login.scope.includes(word))) {
      throw refuse(400, 'invalid_scope', 'Up-scoping is not allowed.');
    }
    const asked = requestedAudience(form, login.bound ? login.audience : []);
    const audience = asked.length > 0 ? asked : login.audience;
    this.#store.killAccessTokens(login);
    const order = { login, user, scope, audience };
    if (!this.#settings.rotates) return await this.#writer.reply({ ...order, refreshToken: token });
    this.#store.refreshTokens.delete(value);
    return await this.#writer.reply(order);
  }

  async #redeem({ form }: IamRequest, client: RegisteredClient): Promise<Reply> {
    const value = form.get('code') ?? '';
    const code = this.#store.authorizationCodes.get(value);
    // Whatever comes of it, a code is used by showing it.
    this.#store.authorizationCodes.delete(value);
    if (code?.clientId !== client.clientId || code.expiresAt <= this.#settings.now()) {
      throw refuse(400, 'invalid_grant', `Invalid authorization code: ${value}`);
    }
    if (form.get('redirect_uri') !== code.redirectUri) {
      throw refuse(400, 'invalid_grant', 'Redirect URI mismatch.');
    }
    if (code.challenge !== undefined) {
      const verifier = form.get('code_verifier') ?? '';
      const derived = code.challenge.method === 'S256' ? sha256(verifier) : verifier;
      if (derived !== code.challenge.value) {
        throw refuse(400, 'invalid_request', 'Code challenge and verifier do not match');
      }
    }
    const user = this.#activeUser(code.sub);
    const asked = requestedAudience(form, []);
    const audience = asked.length > 0 ? asked : code.audience;
    const { clientId, sub, scope, nonce } = code;
    const login: Login = { id: newId(), clientId, sub, scope, audience, bound: false };
    return await this.#writer.reply({ login, user, scope, audience, nonce });
  }

  /** @throws Refusal 401 for a disabled person, 400 while the use policy is unsigned. */
  #activeUser(sub: string): IamUser {
    const user = this.#settings.people.bySub(sub);
    if (user === undefined || user.disabled === true) {
      throw refuse(401, 'unauthorized', `User ${user?.name ?? sub} is not active.`);
    }
    if (user.aupSigned === false) {
      const text = `User ${user.name} needs to sign AUP for this organization in order to proceed.`;
      throw refuse(400, 'invalid_grant', text);
    }
    return user;
  }
}

/**
 * The audience a token request asks for; `granted` is what was bound by `resource` earlier.
 *
 * @throws Refusal `invalid_target` for anything outside a bound audience, and for any `resource` at
 *   all where none was granted.
 */
function requestedAudience(form: URLSearchParams, granted: readonly string[]): readonly string[] {
  const resource = form.getAll('resource').flatMap(words);
  const audience = [...form.getAll('audience'), ...form.getAll('aud')].flatMap(words);
  const limited = granted.length > 0 ? [...resource, ...audience] : resource;
  if (limited.some((word) => !granted.includes(word))) {
    throw refuse(400, 'invalid_target', 'The requested resource was not originally granted');
  }
  const asked = [...resource, ...audience];
  return asked.length > 0 ? asked : granted;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
