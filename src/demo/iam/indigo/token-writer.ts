/** Makes the tokens of the `indigo` dialect and keeps their records. */
import { personClaims } from '../claims.ts';
import { jsonReply, type Reply } from '../message.ts';
import type { IamUser } from '../options.ts';
import type { Settings } from '../settings.ts';
import { type IndigoStore, type Login, newId, type RefreshToken } from './store.ts';

export interface TokenOrder {
  readonly login: Login;
  readonly user: IamUser;
  readonly scope: readonly string[];
  readonly audience: readonly string[];
  /** To be given back unchanged; a new one is made when absent and `offline_access` was granted. */
  readonly refreshToken?: RefreshToken;
  readonly nonce?: string | undefined;
}

export class TokenWriter {
  readonly #settings: Settings;
  readonly #store: IndigoStore;

  constructor(settings: Settings, store: IndigoStore) {
    this.#settings = settings;
    this.#store = store;
  }

  /** The reply of the token endpoint. */
  async reply(order: TokenOrder): Promise<Reply> {
    const { accessToken: expiresIn } = this.#settings.lifetimes;
    const accessToken = await this.#accessToken(order, expiresIn);
    const refreshToken = order.refreshToken ?? this.#refreshToken(order);
    const idToken = order.scope.includes('openid') ? await this.#idToken(order) : undefined;
    return jsonReply(200, {
      access_token: accessToken,
      token_type: 'Bearer',
      ...(refreshToken !== undefined && { refresh_token: refreshToken.value }),
      expires_in: expiresIn,
      scope: order.scope.join(' '),
      ...(idToken !== undefined && { id_token: idToken }),
    });
  }

  async #accessToken(order: TokenOrder, lifeSeconds: number): Promise<string> {
    const { login, user, scope, audience } = order;
    const issuedAt = this.#settings.now();
    const expiresAt = issuedAt + lifeSeconds;
    const client = this.#store.clients.get(login.clientId);
    const value = await this.#settings.accessToken({
      user,
      clientId: login.clientId,
      scope,
      audience,
      profile: this.#settings.profileFor(client?.scope ?? []),
      jti: newId(),
      issuedAt,
      expiresAt,
    });
    const record = { value, login, scope, audience, issuedAt, expiresAt };
    this.#store.accessTokens.set(value, record);
    return value;
  }

  /** INDIGO IAM's refresh tokens are unsigned JWTs: their end can be read, nothing more. */
  #refreshToken(order: TokenOrder): RefreshToken | undefined {
    if (!order.login.scope.includes('offline_access')) return undefined;
    const expiresAt = this.#settings.now() + this.#settings.lifetimes.refreshToken;
    const claims = { exp: expiresAt + this.#settings.skewSeconds, jti: newId() };
    const value = `${base64url({ alg: 'none' })}.${base64url(claims)}.`;
    const token = { value, login: order.login, expiresAt };
    this.#store.refreshTokens.set(value, token);
    return token;
  }

  async #idToken({ user, login, scope, nonce }: TokenOrder): Promise<string> {
    const iat = this.#settings.now() + this.#settings.skewSeconds;
    return await this.#settings.keys.sign({
      iss: this.#settings.issuer,
      sub: user.sub,
      aud: login.clientId,
      iat,
      exp: iat + this.#settings.lifetimes.idToken,
      jti: newId(),
      ...(nonce !== undefined && { nonce }),
      ...personClaims(user, scope),
    });
  }
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
