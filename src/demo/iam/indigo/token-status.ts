/** What the `indigo` dialect says of tokens it gave out: userinfo, introspection, revocation. */
import { personClaims } from '../claims.ts';
import {
  bearerToken,
  emptyReply,
  type IamRequest,
  jsonReply,
  type Reply,
  redirectReply,
} from '../message.ts';
import type { Settings } from '../settings.ts';
import { authenticateClient } from './client-auth.ts';
import { refuse } from './oauth-error.ts';
import type { AccessTokenRecord, IndigoStore } from './store.ts';

export class TokenStatus {
  readonly #settings: Settings;
  readonly #store: IndigoStore;

  constructor(settings: Settings, store: IndigoStore) {
    this.#settings = settings;
    this.#store = store;
  }

  /** Stays good for a disabled person until the token ends. */
  userinfo(request: IamRequest): Reply {
    const value = bearerToken(request.headers) ?? request.form.get('access_token') ?? '';
    const token = this.#living(value);
    const user = token === undefined ? undefined : this.#settings.people.bySub(token.login.sub);
    if (token === undefined || user === undefined) return unknownToken(value);
    return jsonReply(200, { sub: user.sub, ...personClaims(user, token.scope) });
  }

  /** Any confidential client may ask about any token. */
  introspect(request: IamRequest): Reply {
    const client = authenticateClient(request, this.#store);
    if (client.secret === undefined) {
      throw refuse(401, 'unauthorized', 'Full authentication is required to access this resource');
    }
    const token = this.#living(request.form.get('token') ?? '');
    if (token === undefined) return jsonReply(200, { active: false });
    const { skewSeconds, issuer } = this.#settings;
    return jsonReply(200, {
      active: true,
      iss: issuer,
      sub: token.login.sub,
      client_id: token.login.clientId,
      scope: token.scope.join(' '),
      iat: token.issuedAt + skewSeconds,
      exp: token.expiresAt + skewSeconds,
      token_type: 'Bearer',
      ...(token.audience.length > 0 && { aud: token.audience }),
    });
  }

  /** A public client is obeyed, but then sent to `/` as if it had logged in. */
  revoke(request: IamRequest): Reply {
    const client = authenticateClient(request, this.#store);
    const value = request.form.get('token') ?? '';
    const token = this.#store.refreshTokens.get(value) ?? this.#store.accessTokens.get(value);
    if (token !== undefined && token.login.clientId !== client.clientId) return emptyReply(403);
    if (this.#store.refreshTokens.delete(value) && token !== undefined) {
      this.#store.killAccessTokens(token.login);
    }
    this.#store.accessTokens.delete(value);
    return client.secret === undefined ? redirectReply('/') : emptyReply(200);
  }

  #living(value: string): AccessTokenRecord | undefined {
    const token = this.#store.accessTokens.get(value);
    return token !== undefined && token.expiresAt > this.#settings.now() ? token : undefined;
  }
}

/** Repeats the token in body and header: INDIGO IAM does. */
function unknownToken(value: string): Reply {
  const error = 'invalid_token';
  const text = `Invalid access token: ${value}`;
  const challenge = `Bearer error="${error}", error_description="${text}"`;
  return jsonReply(401, { error, error_description: text }, { 'www-authenticate': challenge });
}
