/** The pages of the `indigo` dialect: login, device code, consent, and the authorization endpoint. */
import {
  cookie,
  htmlReply,
  type IamRequest,
  type Reply,
  redirectReply,
  words,
} from '../message.ts';
import type { IamUser } from '../options.ts';
import { consentPage, loginPage, outcomePage, userCodePage } from '../pages.ts';
import type { Settings } from '../settings.ts';
import { type DeviceLogin, type IndigoStore, newSecret, type RegisteredClient } from './store.ts';

const SESSION_COOKIE = 'playground-iam';

/** An authorization code is traded at once; RFC 6749 §4.1.2 allows up to ten minutes. */
const AUTHORIZATION_CODE_SECONDS = 60;

export class PersonPages {
  readonly #settings: Settings;
  readonly #store: IndigoStore;

  constructor(settings: Settings, store: IndigoStore) {
    this.#settings = settings;
    this.#store = store;
  }

  /** `/login`: its query is the page to go to afterwards, path and query. */
  login(request: IamRequest): Reply {
    const next = localTarget(request.query.get('next'));
    const action = `/login?next=${encodeURIComponent(next)}`;
    if (request.method !== 'POST') return htmlReply(200, loginPage(action));
    const { form } = request;
    const user = this.#settings.people.withPassword(
      form.get('username') ?? '',
      form.get('password') ?? '',
    );
    if (user === undefined) return htmlReply(200, loginPage(action, 'Bad credentials.'));
    if (user.disabled === true) {
      return htmlReply(403, outcomePage('error', `User ${user.name} is not active.`));
    }
    const session = newSecret();
    this.#store.sessions.set(session, user.sub);
    const attributes = 'Path=/; HttpOnly; SameSite=Lax';
    return redirectReply(next, { 'set-cookie': `${SESSION_COOKIE}=${session}; ${attributes}` });
  }

  /** `/device`: the code, then consent. Denial leaves the login as it was. */
  device(request: IamRequest): Reply {
    const user = this.#user(request);
    const typed = (request.form.get('user_code') ?? request.query.get('user_code') ?? '').trim();
    if (user === undefined) return toLogin(`/device?user_code=${encodeURIComponent(typed)}`);
    if (typed === '') return htmlReply(200, userCodePage('/device'));
    const device = this.#store.byUserCode(typed);
    const client = device === undefined ? undefined : this.#store.clients.get(device.clientId);
    if (device === undefined || client === undefined || device.approvedBy !== undefined) {
      return htmlReply(200, outcomePage('error', 'There is no such code.'));
    }
    if (device.expiresAt <= this.#settings.now()) {
      return htmlReply(200, outcomePage('error', 'The code has expired.'));
    }
    return this.#decideDevice(request, user, device, client);
  }

  #decideDevice(
    request: IamRequest,
    user: IamUser,
    device: DeviceLogin,
    client: RegisteredClient,
  ): Reply {
    if (request.form.get('decision') === 'deny') {
      return htmlReply(200, outcomePage('denied', 'You said no.'));
    }
    if (!this.#consented(request, user, client)) {
      const { userCode, scope } = device;
      const facts = { action: '/device', clientName: client.name, userName: user.name };
      return htmlReply(
        200,
        consentPage({ ...facts, scope, userCode, hidden: { user_code: userCode } }),
      );
    }
    this.#store.deviceLogins.set(device.deviceCode, { ...device, approvedBy: user.sub });
    return htmlReply(200, outcomePage('approved', 'You can go back to your device.'));
  }

  /** `/authorize`: code flow; PKCE is optional, `plain` is accepted. */
  authorize(request: IamRequest): Reply {
    const { query } = request;
    const client = this.#store.clients.get(query.get('client_id') ?? '');
    const redirectUri = query.get('redirect_uri') ?? '';
    // Never sent to an address that is not registered, port included.
    if (client?.redirectUris.includes(redirectUri) !== true) {
      return htmlReply(400, outcomePage('error', 'Unknown client or redirect URI.'));
    }
    const back = (facts: Record<string, string>): Reply => {
      const state = query.get('state');
      const answer = new URLSearchParams({ ...facts, ...(state !== null && { state }) });
      return redirectReply(
        `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${answer.toString()}`,
      );
    };
    if (query.get('response_type') !== 'code') return back({ error: 'unsupported_response_type' });
    const target = `/authorize?${query.toString()}`;
    const user = this.#user(request);
    if (user === undefined) return toLogin(target);
    if (request.form.get('decision') === 'deny') return back({ error: 'access_denied' });
    const asked = words(query.get('scope'));
    const scope = asked.filter((word) => client.scope.includes(word));
    if (!this.#consented(request, user, client)) {
      const facts = { action: target, clientName: client.name, userName: user.name, scope };
      return htmlReply(200, consentPage(facts));
    }
    return back({ code: this.#newCode(query, client, user, scope) });
  }

  #newCode(
    query: URLSearchParams,
    client: RegisteredClient,
    user: IamUser,
    scope: readonly string[],
  ): string {
    const code = newSecret().slice(0, 8);
    const challenge = query.get('code_challenge');
    this.#store.authorizationCodes.set(code, {
      code,
      clientId: client.clientId,
      sub: user.sub,
      scope,
      redirectUri: query.get('redirect_uri') ?? '',
      challenge:
        challenge === null
          ? undefined
          : { value: challenge, method: query.get('code_challenge_method') ?? 'plain' },
      nonce: query.get('nonce') ?? undefined,
      audience: [...query.getAll('audience'), ...query.getAll('aud')].flatMap(words),
      expiresAt: this.#settings.now() + AUTHORIZATION_CODE_SECONDS,
    });
    return code;
  }

  /** Whether this person lets this client in: said so now, or earlier for good. */
  #consented({ form }: IamRequest, user: IamUser, client: RegisteredClient): boolean {
    const key = `${user.sub} ${client.clientId}`;
    const approves = form.get('decision') === 'approve';
    if (approves && form.get('remember') === 'yes') this.#store.remembered.add(key);
    return approves || this.#store.remembered.has(key);
  }

  #user(request: IamRequest): IamUser | undefined {
    const session = cookie(request.headers, SESSION_COOKIE);
    const sub = session === undefined ? undefined : this.#store.sessions.get(session);
    const user = sub === undefined ? undefined : this.#settings.people.bySub(sub);
    return user?.disabled === true ? undefined : user;
  }
}

function toLogin(next: string): Reply {
  return redirectReply(`/login?next=${encodeURIComponent(next)}`);
}

/** A path on this server; anything else would make the login page an open redirect. */
function localTarget(next: string | null): string {
  return next?.startsWith('/') === true && !next.startsWith('//') ? next : '/';
}
