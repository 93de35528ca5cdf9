import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { visit } from '../../../../src/demo/iam/browser.ts';
import type { IamOptions } from '../../../../src/demo/iam/options.ts';
import {
  type Answer,
  alice,
  type Bench,
  basic,
  bench,
  confidentialClient,
  DEVICE_GRANT,
  never,
  publicClient,
  SCOPE,
  send,
} from './iam-client.ts';

async function indigo(options: Partial<IamOptions> = {}): Promise<Bench> {
  return await bench({ dialect: 'indigo', ...options });
}

const said = (answer: Answer): unknown[] => [answer.status, answer.json['error']];
const access = (answer: Answer): string => String(answer.json['access_token']);
const describedAs = (answer: Answer): string => String(answer.json['error_description']);

describe('INDIGO IAM: discovery and keys', () => {
  it('ends its issuer with a slash and serves the routes of INDIGO IAM', async () => {
    await using at = await indigo();
    const { iam, client } = at;
    expect(iam.issuer).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(client.discovery).toMatchObject({
      issuer: iam.issuer,
      authorization_endpoint: `${iam.issuer}authorize`,
      token_endpoint: `${iam.issuer}token`,
      userinfo_endpoint: `${iam.issuer}userinfo`,
      jwks_uri: `${iam.issuer}jwk`,
      introspection_endpoint: `${iam.issuer}introspect`,
      revocation_endpoint: `${iam.issuer}revoke`,
      device_authorization_endpoint: `${iam.issuer}devicecode`,
      registration_endpoint: `${iam.issuer}iam/api/client-registration`,
    });
  });

  it('answers discovery behind two slashes, and no RFC 8414 metadata', async () => {
    await using at = await indigo();
    const doubled = await send(`${at.iam.issuer}/.well-known/openid-configuration`);
    expect([doubled.status, doubled.json['issuer']]).toEqual([200, at.iam.issuer]);
    const other = await send(`${at.iam.issuer}.well-known/oauth-authorization-server`);
    expect(other.status).toBe(404);
  });

  it('publishes keys without use or alg, to be cached for six hours', async () => {
    await using at = await indigo({ x5c: false });
    const jwks = await send(at.client.url('jwks_uri'));
    const { keys } = jwks.json as { keys: object[] };
    expect(keys.map((key) => Object.keys(key).toSorted())).toEqual([['e', 'kid', 'kty', 'n']]);
    expect(jwks.headers.get('cache-control')).toContain('21600');
  });

  it('can leave the last slash off the issuer of access tokens only', async () => {
    await using at = await indigo({ slashlessTokenIssuer: true });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    expect(decodeJwt(access(tokens)).iss).toBe(at.iam.issuer.slice(0, -1));
    expect(decodeJwt(String(tokens.json['id_token'])).iss).toBe(at.iam.issuer);
  });
});

describe('INDIGO IAM: registration', () => {
  it('replies without the two times of RFC 7591, and counts created_at in ms', async () => {
    await using at = await indigo();
    const { status, json } = await at.client.postJson('registration_endpoint', confidentialClient);
    expect(status).toBe(201);
    expect(json).not.toHaveProperty('client_secret_expires_at');
    expect(json).not.toHaveProperty('client_id_issued_at');
    expect(json).toMatchObject({
      created_at: at.clock.now(),
      active: true,
      dynamically_registered: true,
      reuse_refresh_token: true,
      clear_access_tokens_on_refresh: true,
    });
    expect(String(json['client_secret'])).toHaveLength(86);
    expect(decodeJwt(String(json['registration_access_token'])).exp).toBeUndefined();
    expect(String(json['scope']).split(' ').toSorted()).toEqual(SCOPE.split(' ').toSorted());
  });

  it('strips restricted scopes in silence, keeps unknown ones, and has defaults', async () => {
    await using at = await indigo();
    const scope = 'openid storage.read:/ scim:read registration-token compute.create';
    const some = await at.client.postJson('registration_endpoint', { ...publicClient, scope });
    expect(String(some.json['scope']).split(' ').toSorted()).toEqual(['compute.create', 'openid']);
    const unscoped = { client_name: 'wire', grant_types: [DEVICE_GRANT] };
    const none = await at.client.postJson('registration_endpoint', unscoped);
    expect(String(none.json['scope']).split(' ').toSorted()).toEqual([
      'address',
      'email',
      'openid',
      'phone',
      'profile',
    ]);
  });

  it.each([
    ['a name under four characters', { client_name: 'abc' }],
    ['a client_id', { client_id: 'mine' }],
    ['a bad redirect URI', { redirect_uris: ['not a uri'] }],
    ['client credentials', { grant_types: ['client_credentials'] }],
    ['passwords', { grant_types: ['password'] }],
  ])('refuses %s with free text', async (_, metadata) => {
    await using at = await indigo();
    const body = { ...publicClient, ...metadata };
    const { status, json } = await at.client.postJson('registration_endpoint', body);
    expect(status).toBe(400);
    expect(Object.keys(json)).toEqual(['error']);
    expect(json['error']).toContain(' ');
  });

  it.each([
    ['broken JSON', '{'],
    ['an unknown authentication method', { ...publicClient, token_endpoint_auth_method: 'magic' }],
  ])('refuses %s with an empty body', async (_, body) => {
    await using at = await indigo();
    const { status, text } = await at.client.postJson('registration_endpoint', body);
    expect([status, text]).toEqual([400, '']);
  });

  it('still advertises registration when it is disabled, and then answers 400', async () => {
    await using at = await indigo({ registration: 'disabled' });
    const refused = await at.client.postJson('registration_endpoint', publicClient);
    expect(said(refused)).toEqual([400, 'Client registration is disabled']);
  });

  it('gives no registration token to a person who registers', async () => {
    await using at = await indigo();
    const token = await at.iam.mint({ sub: alice.sub });
    const { status, json } = await at.client.postJson('registration_endpoint', publicClient, {
      authorization: `Bearer ${token}`,
    });
    expect(status).toBe(201);
    expect(json).not.toHaveProperty('registration_access_token');
  });

  it('reads, replaces and deletes a registration, and only its own', async () => {
    await using at = await indigo();
    const { client } = at;
    const mine = await client.register();
    const other = await client.register();
    const read = await client.bearer(mine.managementUri, mine.managementToken);
    expect(read.status).toBe(200);
    expect(read.json).not.toHaveProperty('registration_access_token');
    const put = await send(mine.managementUri, {
      method: 'PUT',
      headers: { authorization: `Bearer ${mine.managementToken}` },
      body: JSON.stringify({ ...publicClient, client_name: 'renamed' }),
    });
    expect([put.status, put.json['client_name']]).toEqual([200, 'renamed']);
    expect(put.json).not.toHaveProperty('registration_access_token');
    expect((await client.bearer(mine.managementUri, other.managementToken)).status).toBe(400);
    const foreign = await client.bearer(mine.managementUri, other.managementToken, 'DELETE');
    expect(foreign.status).toBe(400);
    const gone = await client.bearer(mine.managementUri, mine.managementToken, 'DELETE');
    expect(gone.status).toBe(204);
    const after = await client.bearer(mine.managementUri, mine.managementToken);
    expect(said(after)).toEqual([401, 'invalid_token']);
  });

  it('forgets a deleted client at once everywhere', async () => {
    await using at = await indigo();
    const { client } = at;
    const { clientId, managementUri, managementToken } = await client.register();
    const tokens = await client.login(clientId);
    await client.bearer(managementUri, managementToken, 'DELETE');
    expect((await client.startDevice(clientId)).status).toBe(404);
    expect((await client.refresh(clientId, tokens)).status).toBe(401);
    expect((await client.userinfo(tokens)).status).toBe(401);
  });
});

describe('INDIGO IAM: device flow', () => {
  it('gives a short code of letters, digits, - and _, and no interval', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const { json, text } = await at.client.startDevice(clientId);
    expect(json['user_code']).toMatch(/^[A-Z0-9_-]{6}$/);
    expect(json).not.toHaveProperty('interval');
    expect(json['verification_uri']).toBe(`${at.iam.issuer}device`);
    expect(text).toContain('user_code\\u003d');
  });

  it('does not check the secret when it gives a code', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register(confidentialClient);
    const form = { client_id: clientId, scope: SCOPE };
    const wrong = basic(clientId, 'wrong');
    expect((await at.client.post('device_authorization_endpoint', form, wrong)).status).toBe(200);
    expect((await at.client.post('device_authorization_endpoint', form)).status).toBe(200);
  });

  it('answers an unknown client 404 and a blank one 400, both without a body', async () => {
    await using at = await indigo();
    const unknown = await at.client.startDevice('nobody');
    expect([unknown.status, unknown.text]).toEqual([404, '']);
    const blank = await at.client.startDevice('');
    expect([blank.status, blank.text]).toEqual([400, '']);
  });

  it('refuses a scope that was not registered, and a client without the grant', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const wide = await at.client.startDevice(clientId, { scope: 'openid email' });
    expect(said(wide)).toEqual([400, 'invalid_scope']);
    const other = await at.client.register({ grant_types: ['authorization_code'] });
    expect(said(await at.client.startDevice(other.clientId))).toEqual([401, 'invalid_client']);
  });

  it('stays pending however often it is asked, and repeats the device code', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    for (let poll = 0; poll < 31; poll += 1) {
      const pending = await at.client.poll(clientId, device);
      expect(said(pending)).toEqual([400, 'authorization_pending']);
      expect(describedAs(pending)).toContain(String(device.json['device_code']));
    }
  });

  it('does not tell the device of a denial; the code can still be approved', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    const code = String(device.json['user_code']);
    await at.iam.deny(code, 'alice', never);
    expect(said(await at.client.poll(clientId, device))).toEqual([400, 'authorization_pending']);
    await at.iam.approve(code, 'alice', never);
    expect((await at.client.poll(clientId, device)).status).toBe(200);
  });

  it('says expired_token once, then invalid_grant, each with the code in its text', async () => {
    await using at = await indigo({ lifetimes: { deviceCode: 10 } });
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    await at.clock.advance(9_000);
    expect(said(await at.client.poll(clientId, device))).toEqual([400, 'authorization_pending']);
    await at.clock.advance(1_000);
    const first = await at.client.poll(clientId, device);
    const second = await at.client.poll(clientId, device);
    expect([said(first), said(second)]).toEqual([
      [400, 'expired_token'],
      [400, 'invalid_grant'],
    ]);
    for (const answer of [first, second]) {
      expect(describedAs(answer)).toContain(String(device.json['device_code']));
    }
  });

  it('will not approve an expired code', async () => {
    await using at = await indigo({ lifetimes: { deviceCode: 10 } });
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    await at.clock.advance(10_000);
    const code = String(device.json['user_code']);
    await expect(at.iam.approve(code, 'alice', never)).rejects.toThrow('error');
  });

  it('takes a code once, from its own client only, and revokes nothing at a second use', async () => {
    await using at = await indigo();
    const { client } = at;
    const { clientId } = await client.register();
    const other = await client.register();
    const device = await client.startDevice(clientId);
    await at.iam.approve(String(device.json['user_code']), 'alice', never);
    expect(said(await client.poll(other.clientId, device))).toEqual([400, 'invalid_grant']);
    const tokens = await client.poll(clientId, device);
    expect(said(await client.poll(clientId, device))).toEqual([400, 'invalid_grant']);
    expect((await client.userinfo(tokens)).status).toBe(200);
    expect((await client.refresh(clientId, tokens)).status).toBe(200);
  });

  it('takes a lower-case code, but none with spaces in it', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    const url = String(device.json['verification_uri']);
    const code = String(device.json['user_code']);
    const type = async (userCode: string): Promise<string> =>
      await visit({ url, userCode, userName: 'alice' }, never);
    expect(await type(`${code.slice(0, 3)} ${code.slice(3)}`)).toBe('error');
    expect(await type(code.toLowerCase())).toBe('approved');
  });

  it('asks again where consent was given once', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    await at.client.login(clientId);
    const second = await at.client.startDevice(clientId);
    await at.iam.deny(String(second.json['user_code']), 'alice', never);
  });

  it('asks no more where consent was given for good', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const first = await at.client.startDevice(clientId);
    const complete = (device: Answer): string => String(device.json['verification_uri_complete']);
    await visit({ url: complete(first), userName: 'alice', remember: true }, never);
    const second = await at.client.startDevice(clientId);
    // A denial that no page asks for cannot be given.
    const outcome = await visit(
      { url: complete(second), userName: 'alice', decision: 'deny' },
      never,
    );
    expect(outcome).toBe('approved');
    expect((await at.client.poll(clientId, second)).status).toBe(200);
  });

  it('gives a refresh token for offline_access only: unsigned, with its end', async () => {
    await using at = await indigo({ lifetimes: { refreshToken: 1000 } });
    const { clientId } = await at.client.register();
    const [header = '', claims = '', signature] = String(
      (await at.client.login(clientId)).json['refresh_token'],
    ).split('.');
    const parse = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(parse(header)).toEqual({ alg: 'none' });
    expect(parse(claims)).toMatchObject({ exp: Math.floor(at.clock.now() / 1000) + 1000 });
    expect(signature).toBe('');
    const device = await at.client.startDevice(clientId, { scope: 'openid' });
    await at.iam.approve(String(device.json['user_code']), 'alice', never);
    const online = await at.client.poll(clientId, device);
    expect(online.json).not.toHaveProperty('refresh_token');
  });
});

describe('INDIGO IAM: token endpoint', () => {
  it('tells wrong Basic credentials from wrong form fields', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register(confidentialClient);
    const form = { grant_type: 'refresh_token', refresh_token: 'x' };
    const byBasic = await at.client.post('token_endpoint', form, basic(clientId, 'wrong'));
    expect([...said(byBasic), describedAs(byBasic)]).toEqual([
      401,
      'unauthorized',
      'Bad credentials',
    ]);
    const fields = { ...form, client_id: clientId, client_secret: 'wrong' };
    expect(said(await at.client.post('token_endpoint', fields))).toEqual([401, 'invalid_client']);
    const unknown = { ...form, client_id: 'nobody' };
    expect(said(await at.client.post('token_endpoint', unknown))).toEqual([401, 'invalid_client']);
  });

  it('breaks down over a missing grant type or refresh token', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const without = await at.client.post('token_endpoint', { client_id: clientId });
    const form = { client_id: clientId, grant_type: 'refresh_token' };
    const empty = await at.client.post('token_endpoint', form);
    expect([said(without), said(empty)]).toEqual([
      [500, 'server_error'],
      [500, 'server_error'],
    ]);
  });

  it('ignores an audience at the device endpoint', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId, { audience: 'wire-s3', aud: 'wire-s3' });
    await at.iam.approve(String(device.json['user_code']), 'alice', never);
    expect(decodeJwt(access(await at.client.poll(clientId, device))).aud).toBeUndefined();
  });

  it('takes aud as well as audience', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId, { aud: 'wire-s3' });
    expect(decodeJwt(access(tokens)).aud).toBe('wire-s3');
  });

  it('takes a resource at the device endpoint only, and then nothing else', async () => {
    await using at = await indigo();
    const { client } = at;
    const { clientId } = await client.register();
    const resource = 'https://s3.example';
    const late = await client.login(clientId, { resource });
    expect(said(late)).toEqual([400, 'invalid_target']);
    const device = await client.startDevice(clientId, { resource });
    await at.iam.approve(String(device.json['user_code']), 'alice', never);
    const tokens = await client.poll(clientId, device);
    expect(decodeJwt(access(tokens)).aud).toBe(resource);
    const other = await client.refresh(clientId, tokens, { audience: 'wire-s3' });
    expect(said(other)).toEqual([400, 'invalid_target']);
  });

  it('gives the same refresh token again, also to forty at once', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    const all = await Promise.all(
      Array.from({ length: 40 }, async () => await at.client.refresh(clientId, tokens)),
    );
    expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
    const values = new Set(all.map(({ json }) => json['refresh_token']));
    expect(values).toEqual(new Set([tokens.json['refresh_token']]));
  });

  it('kills the previous access token at each refresh', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const first = await at.client.login(clientId);
    const second = await at.client.refresh(clientId, first);
    const refused = await at.client.userinfo(first);
    expect(said(refused)).toEqual([401, 'invalid_token']);
    expect(describedAs(refused)).toContain(access(first));
    expect(refused.headers.get('www-authenticate')).toContain(access(first));
    expect((await at.client.userinfo(second)).status).toBe(200);
  });

  it('with rotation, knows the old refresh token no more but lets its successor live', async () => {
    await using at = await indigo({ rotateRefreshTokens: true });
    const { clientId } = await at.client.register();
    const first = await at.client.login(clientId);
    const second = await at.client.refresh(clientId, first);
    expect(second.json['refresh_token']).not.toBe(first.json['refresh_token']);
    expect(said(await at.client.refresh(clientId, first))).toEqual([401, 'invalid_token']);
    expect((await at.client.refresh(clientId, second)).status).toBe(200);
  });

  it('answers a dead refresh token 401 invalid_token, with the token in its text', async () => {
    await using at = await indigo({ lifetimes: { refreshToken: 60 } });
    const { client } = at;
    const { clientId } = await client.register();
    const tokens = await client.login(clientId);
    const value = String(tokens.json['refresh_token']);
    await at.clock.advance(60_000);
    const expired = await client.refresh(clientId, tokens);
    expect(said(expired)).toEqual([401, 'invalid_token']);
    expect(describedAs(expired)).toContain(value);
    const foreign = await client.register();
    const alive = await client.login(clientId);
    expect(said(await client.refresh(foreign.clientId, alive))).toEqual([401, 'invalid_token']);
  });

  it('keeps the scope at a refresh without one, narrows it, never widens it', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    expect((await at.client.refresh(clientId, tokens)).json['scope']).toBe(SCOPE);
    const narrow = await at.client.refresh(clientId, tokens, { scope: 'openid' });
    expect(narrow.json['scope']).toBe('openid');
    const wide = await at.client.refresh(clientId, tokens, { scope: 'openid email' });
    expect(said(wide)).toEqual([400, 'invalid_scope']);
  });

  it('refuses a disabled person 401 unauthorized until enabled; userinfo lives on', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    at.iam.changeUser('alice', { disabled: true });
    expect(said(await at.client.refresh(clientId, tokens))).toEqual([401, 'unauthorized']);
    expect((await at.client.userinfo(tokens)).status).toBe(200);
    at.iam.changeUser('alice', { disabled: false });
    expect((await at.client.refresh(clientId, tokens)).status).toBe(200);
  });

  it('asks for the use policy with 400 invalid_grant until it is signed', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    at.iam.changeUser('alice', { aupSigned: false });
    const refused = await at.client.refresh(clientId, tokens);
    expect(said(refused)).toEqual([400, 'invalid_grant']);
    expect(describedAs(refused)).toContain('needs to sign AUP');
    at.iam.changeUser('alice', { aupSigned: true });
    expect((await at.client.refresh(clientId, tokens)).status).toBe(200);
  });
});

describe('INDIGO IAM: revocation, introspection, code flow', () => {
  it('obeys a public client that revokes, and sends it to / all the same', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    const form = { client_id: clientId, token: String(tokens.json['refresh_token']) };
    const revoked = await at.client.post('revocation_endpoint', form);
    expect([revoked.status, revoked.headers.get('location')]).toEqual([302, '/']);
    expect(said(await at.client.refresh(clientId, tokens))).toEqual([401, 'invalid_token']);
    expect((await at.client.userinfo(tokens)).status).toBe(401);
  });

  it('answers a confidential client 200, for unknown tokens too, but 403 for a foreign one', async () => {
    await using at = await indigo();
    const { client } = at;
    const { clientId } = await client.register();
    const tokens = await client.login(clientId);
    const other = await client.register(confidentialClient);
    const auth = basic(other.clientId, other.secret ?? '');
    const unknown = await client.post('revocation_endpoint', { token: 'unknown' }, auth);
    expect(unknown.status).toBe(200);
    const form = { token: String(tokens.json['refresh_token']) };
    expect((await client.post('revocation_endpoint', form, auth)).status).toBe(403);
    expect((await client.refresh(clientId, tokens)).status).toBe(200);
  });

  it('lets any confidential client introspect any token, and no public one', async () => {
    await using at = await indigo({ lifetimes: { accessToken: 30 } });
    const { client } = at;
    const { clientId } = await client.register();
    const tokens = await client.login(clientId);
    const other = await client.register(confidentialClient);
    const auth = basic(other.clientId, other.secret ?? '');
    const ask = async (): Promise<Answer> =>
      await client.post('introspection_endpoint', { token: access(tokens) }, auth);
    expect((await ask()).json).toMatchObject({ active: true, client_id: clientId });
    await at.clock.advance(30_000);
    expect((await ask()).json).toEqual({ active: false });
    const form = { client_id: clientId, token: access(tokens) };
    expect((await client.post('introspection_endpoint', form)).status).toBe(401);
  });

  it('compares redirect URIs exactly, port included, and burns a code shown with a wrong verifier', async () => {
    const redirectUri = 'http://127.0.0.1:18400/callback';
    await using at = await indigo({ clients: [{ clientId: 'desk', redirectUris: [redirectUri] }] });
    const page = async (query: Record<string, string>): Promise<string> => {
      const all = { client_id: 'desk', response_type: 'code', scope: 'openid', ...query };
      const url = `${at.iam.issuer}authorize?${new URLSearchParams(all).toString()}`;
      return await visit({ url, userName: 'alice', redirectUri }, never);
    };
    expect(await page({ redirect_uri: 'http://127.0.0.1:18401/callback' })).toBe('error');
    const end = await page({
      redirect_uri: redirectUri,
      code_challenge: 'plain challenge',
      code_challenge_method: 'plain',
    });
    const redeem = async (code_verifier: string): Promise<Answer> =>
      await at.client.post('token_endpoint', {
        client_id: 'desk',
        grant_type: 'authorization_code',
        code: new URL(end).searchParams.get('code') ?? '',
        redirect_uri: redirectUri,
        code_verifier,
      });
    expect(said(await redeem('wrong'))).toEqual([400, 'invalid_request']);
    expect(said(await redeem('plain challenge'))).toEqual([400, 'invalid_grant']);
  });

  it('knows the device grant by its full name', async () => {
    await using at = await indigo();
    const { clientId } = await at.client.register();
    const form = { client_id: clientId, grant_type: 'device_code', device_code: 'x' };
    expect(said(await at.client.post('token_endpoint', form))).toEqual([401, 'invalid_client']);
    const right = { ...form, grant_type: DEVICE_GRANT };
    expect(said(await at.client.post('token_endpoint', right))).toEqual([400, 'invalid_grant']);
  });
});
