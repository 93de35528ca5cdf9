import { createHash, X509Certificate } from 'node:crypto';
import { createRemoteJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { visit } from '../../../../src/demo/iam/browser.ts';
import {
  type Answer,
  alice,
  basic,
  bench,
  confidentialClient,
  never,
  publicClient,
  SCOPE,
  send,
} from './iam-client.ts';

function accessClaims(answer: Answer): JWTPayload {
  return decodeJwt(String(answer.json['access_token']));
}

describe.each(['standard', 'indigo'] as const)('IAM, dialect %s', (dialect) => {
  it('carries one login from registration to deletion', async () => {
    await using at = await bench({ dialect });
    const { client, iam } = at;
    const { clientId, managementUri, managementToken } = await client.register();

    const device = await client.startDevice(clientId);
    expect(device.status).toBe(200);
    expect(device.json).toMatchObject({ expires_in: 600 });
    const pending = await client.poll(clientId, device);
    expect([pending.status, pending.json['error']]).toEqual([400, 'authorization_pending']);

    await iam.approve(String(device.json['user_code']), 'alice', never);
    const tokens = await client.poll(clientId, device, { audience: 'wire-s3' });
    expect(tokens.status).toBe(200);
    expect(tokens.json).toMatchObject({ token_type: 'Bearer', expires_in: 3600, scope: SCOPE });
    expect(accessClaims(tokens)).toMatchObject({
      iss: iam.issuer,
      sub: alice.sub,
      aud: 'wire-s3',
      client_id: clientId,
      preferred_username: 'alice',
      groups: alice.groups,
      scope: SCOPE,
    });

    const person = await client.userinfo(tokens);
    expect(person.json).toMatchObject({ sub: alice.sub, preferred_username: 'alice' });

    const refreshed = await client.refresh(clientId, tokens);
    expect(refreshed.status).toBe(200);
    expect((await client.userinfo(refreshed)).status).toBe(200);

    const form = { client_id: clientId, token: String(refreshed.json['refresh_token']) };
    await client.post('revocation_endpoint', form);
    expect((await client.refresh(clientId, refreshed)).status).toBeGreaterThanOrEqual(400);
    expect((await client.userinfo(refreshed)).status).toBe(401);

    const deleted = await client.bearer(managementUri, managementToken, 'DELETE');
    expect(deleted.status).toBe(204);
    expect((await client.bearer(managementUri, managementToken)).status).toBe(401);
  });

  it('signs access and identity tokens with a key of its JWKS', async () => {
    await using at = await bench({ dialect });
    const { client, iam } = at;
    const { clientId } = await client.register();
    const tokens = await client.login(clientId, { audience: 'wire-s3' });
    const keys = createRemoteJWKSet(new URL(client.url('jwks_uri')));
    const access = await jwtVerify(String(tokens.json['access_token']), keys, {
      issuer: iam.issuer,
      audience: 'wire-s3',
    });
    expect(access.protectedHeader).toMatchObject({ alg: 'RS256' });
    const identity = await jwtVerify(String(tokens.json['id_token']), keys, {
      issuer: iam.issuer,
      audience: clientId,
    });
    expect(identity.payload).toMatchObject({ sub: alice.sub, preferred_username: 'alice' });
    expect((identity.payload.exp ?? 0) - (identity.payload.iat ?? 0)).toBe(600);
  });

  it('counts an audience of the poll again at a refresh without one, and no other', async () => {
    await using at = await bench({ dialect, audience: 'default' });
    const { client } = at;
    const { clientId } = await client.register();
    const plain = await client.login(clientId);
    expect(accessClaims(plain).aud).toBe('default');
    const tokens = await client.login(clientId, { audience: 'first' });
    const other = await client.refresh(clientId, tokens, { audience: 'second third' });
    expect(accessClaims(other).aud).toEqual(['second', 'third']);
    expect(accessClaims(await client.refresh(clientId, other)).aud).toBe('first');
  });

  it('binds a confidential client to its secret', async () => {
    await using at = await bench({ dialect });
    const { client, iam } = at;
    const { clientId, secret = '' } = await client.register(confidentialClient);
    expect(secret.length).toBeGreaterThan(40);
    const auth = basic(clientId, secret);
    const device = await client.post(
      'device_authorization_endpoint',
      { client_id: clientId, scope: SCOPE },
      auth,
    );
    await iam.approve(String(device.json['user_code']), 'alice', never);
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: String(device.json['device_code']),
    };
    expect((await client.post('token_endpoint', form, basic(clientId, 'wrong'))).status).toBe(401);
    const tokens = await client.post('token_endpoint', form, auth);
    expect(tokens.status).toBe(200);
    const { json } = await client.post(
      'introspection_endpoint',
      { token: String(tokens.json['access_token']) },
      auth,
    );
    expect(json).toMatchObject({ active: true, sub: alice.sub, client_id: clientId });
  });

  it('knows the clients it was started with', async () => {
    const clients = [{ clientId: 'known', clientSecret: 'known-secret', scope: SCOPE }];
    await using at = await bench({ dialect, clients });
    const device = await at.client.post(
      'device_authorization_endpoint',
      { client_id: 'known', scope: SCOPE },
      basic('known', 'known-secret'),
    );
    expect(device.status).toBe(200);
  });

  it('takes a person through the code flow with PKCE, and the verifier must fit', async () => {
    const redirectUri = 'http://127.0.0.1:18400/callback';
    const clients = [{ clientId: 'desk', redirectUris: [redirectUri], scope: SCOPE }];
    await using at = await bench({ dialect, clients });
    const { client } = at;
    const verifier = 'v'.repeat(64);
    const query = new URLSearchParams({
      client_id: 'desk',
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: SCOPE,
      prompt: 'consent',
      state: 'some state',
      nonce: 'some nonce',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    });
    const url = `${client.url('authorization_endpoint')}?${query.toString()}`;
    const redeem = async (code_verifier: string): Promise<Answer> => {
      const end = new URL(await visit({ url, userName: 'alice', redirectUri }, never));
      expect(end.searchParams.get('state')).toBe('some state');
      return await client.post('token_endpoint', {
        client_id: 'desk',
        grant_type: 'authorization_code',
        code: end.searchParams.get('code') ?? '',
        redirect_uri: redirectUri,
        code_verifier,
      });
    };
    const tokens = await redeem(verifier);
    expect(tokens.status).toBe(200);
    expect(decodeJwt(String(tokens.json['id_token']))['nonce']).toBe('some nonce');
    expect((await client.refresh('desk', tokens)).status).toBe(200);
    expect((await redeem('w'.repeat(64))).status).toBe(400);
    const denied = await visit({ url, userName: 'alice', redirectUri, decision: 'deny' }, never);
    expect(new URL(denied).searchParams.get('error')).toBe('access_denied');
  });

  it('writes WLCG tokens for a client that registered that scope', async () => {
    await using at = await bench({ dialect, includeAuthnInfo: false });
    const { clientId } = await at.client.register({ scope: `${SCOPE} wlcg` });
    expect(accessClaims(await at.client.login(clientId))).toMatchObject({
      'wlcg.ver': '1.0',
      'wlcg.groups': ['/dev', '/dev/wire'],
      aud: 'https://wlcg.cern.ch/jwt/v1/any',
      scope: SCOPE,
    });
  });

  it('says little in an access token without authentication info', async () => {
    await using at = await bench({ dialect, includeAuthnInfo: false });
    const { clientId } = await at.client.register();
    const claims = accessClaims(await at.client.login(clientId));
    expect(Object.keys(claims).toSorted()).toEqual([
      'client_id',
      'exp',
      'iat',
      'iss',
      'jti',
      'sub',
    ]);
  });

  it('publishes a certificate of each key for Ceph RGW, unless told not to', async () => {
    await using withOne = await bench({ dialect });
    const { keys } = (await send(withOne.client.url('jwks_uri'))).json as { keys: JwkEntry[] };
    const [key] = keys;
    const certificate = new X509Certificate(Buffer.from(key?.x5c?.[0] ?? '', 'base64'));
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.export({ format: 'jwk' })).toMatchObject({ n: key?.n, e: key?.e });
    expect(Date.parse(certificate.validTo)).toBeGreaterThan(Date.now());
    await using without = await bench({ dialect, x5c: false });
    expect((await send(without.client.url('jwks_uri'))).text).not.toContain('"x5c"');
  });

  it('refuses a wrong password, an unknown person and a disabled one in the browser', async () => {
    const users = [{ ...alice, password: 'right' }];
    await using at = await bench({ dialect, users });
    const { clientId } = await at.client.register();
    const outcome = async (userName: string, password: string): Promise<string> => {
      const device = await at.client.startDevice(clientId);
      const url = String(device.json['verification_uri_complete']);
      return await visit({ url, userName, password }, never);
    };
    expect(await outcome('alice', 'wrong')).toBe('error');
    expect(await outcome('mallory', 'right')).toBe('error');
    at.iam.changeUser('alice', { disabled: true });
    expect(await outcome('alice', 'right')).toBe('error');
    at.iam.changeUser('alice', { disabled: false });
    expect(await outcome('alice', 'right')).toBe('approved');
  });

  it('lets only its users register clients when told so', async () => {
    await using at = await bench({
      dialect,
      registration: 'registered-users',
      clients: [{ clientId: 'known', scope: SCOPE }],
    });
    const refused = await at.client.postJson('registration_endpoint', publicClient);
    expect(refused.status).toBe(dialect === 'indigo' ? 403 : 401);
    const tokens = await at.client.login('known');
    const authorization = `Bearer ${String(tokens.json['access_token'])}`;
    const allowed = await at.client.postJson('registration_endpoint', publicClient, {
      authorization,
    });
    expect(allowed.status).toBe(201);
  });

  it('is ahead of our clock by the skew it was given, in tokens and in the Date header', async () => {
    await using at = await bench({ dialect, clockSkewSeconds: 300 });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    const expected = Date.now() / 1000 + 300;
    const skewed = [
      Date.parse(tokens.headers.get('date') ?? '') / 1000,
      accessClaims(tokens).iat ?? 0,
      decodeJwt(String(tokens.json['id_token'])).iat ?? 0,
    ];
    for (const seconds of skewed) expect(Math.abs(seconds - expected)).toBeLessThan(30);
    expect((await at.client.userinfo(tokens)).status).toBe(200);
  });
});

interface JwkEntry {
  readonly n: string;
  readonly e: string;
  readonly x5c?: readonly string[];
}
