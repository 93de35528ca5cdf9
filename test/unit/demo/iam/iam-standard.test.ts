import { decodeJwt } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { IamOptions } from '../../../../src/demo/iam/options.ts';
import {
  type Answer,
  type Bench,
  basic,
  bench,
  confidentialClient,
  DEVICE_GRANT,
  never,
  publicClient,
  SCOPE,
} from './iam-client.ts';

async function standard(options: Partial<IamOptions> = {}): Promise<Bench> {
  return await bench({ dialect: 'standard', ...options });
}

/** oidc-provider reads `Date`: only that is faked, so that HTTP goes on. */
function passSeconds(seconds: number): void {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ['Date'] });
  vi.setSystemTime(now + seconds * 1000);
}

afterEach(() => {
  vi.useRealTimers();
});

const said = (answer: Answer): unknown[] => [answer.status, answer.json['error']];
const audienceOf = (answer: Answer): unknown => decodeJwt(String(answer.json['access_token'])).aud;

describe('a standard IAM', () => {
  it('has an issuer without a last slash, S256, and no route of INDIGO IAM', async () => {
    await using at = await standard();
    const { discovery, iam } = at.client;
    expect(discovery['issuer']).toBe(iam.issuer);
    expect(iam.issuer).not.toMatch(/\/$/);
    expect(discovery).toMatchObject({ code_challenge_methods_supported: ['S256'] });
    expect(JSON.stringify(discovery)).not.toMatch(/devicecode|client-registration|\/userinfo/);
  });

  it('tells the device of a denial', async () => {
    await using at = await standard();
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    await at.iam.deny(String(device.json['user_code']), 'alice', never);
    expect(said(await at.client.poll(clientId, device))).toEqual([400, 'access_denied']);
  });

  it('says expired_token when the device code has ended', async () => {
    await using at = await standard({ lifetimes: { deviceCode: 10 } });
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    expect(device.json['expires_in']).toBe(10);
    passSeconds(11);
    expect(said(await at.client.poll(clientId, device))).toEqual([400, 'expired_token']);
  });

  it('says how often to poll only when told to', async () => {
    await using silent = await standard();
    const { clientId } = await silent.client.register();
    expect((await silent.client.startDevice(clientId)).json).not.toHaveProperty('interval');
    await using saying = await standard({ pollIntervalSeconds: 3 });
    const other = await saying.client.register();
    expect((await saying.client.startDevice(other.clientId)).json['interval']).toBe(3);
  });

  it('revokes what a device code gave when the code is used again', async () => {
    await using at = await standard();
    const { clientId } = await at.client.register();
    const device = await at.client.startDevice(clientId);
    await at.iam.approve(String(device.json['user_code']), 'alice', never);
    const tokens = await at.client.poll(clientId, device);
    expect(said(await at.client.poll(clientId, device))).toEqual([400, 'invalid_grant']);
    expect(said(await at.client.refresh(clientId, tokens))).toEqual([400, 'invalid_grant']);
    expect((await at.client.userinfo(tokens)).status).toBe(401);
  });

  it('rotates refresh tokens, and at the reuse of an old one kills the newest too', async () => {
    await using at = await standard();
    const { clientId } = await at.client.register();
    const first = await at.client.login(clientId);
    const second = await at.client.refresh(clientId, first);
    expect(second.json['refresh_token']).not.toBe(first.json['refresh_token']);
    expect((await at.client.userinfo(first)).status).toBe(200);
    expect(said(await at.client.refresh(clientId, first))).toEqual([400, 'invalid_grant']);
    expect(said(await at.client.refresh(clientId, second))).toEqual([400, 'invalid_grant']);
  });

  it('gives the same refresh token again when told not to rotate', async () => {
    await using at = await standard({ rotateRefreshTokens: false });
    const { clientId } = await at.client.register();
    const first = await at.client.login(clientId);
    const second = await at.client.refresh(clientId, first);
    expect(second.json['refresh_token']).toBe(first.json['refresh_token']);
    expect((await at.client.refresh(clientId, first)).status).toBe(200);
  });

  it('lets refresh and access tokens end with their lifetimes', async () => {
    await using at = await standard({ lifetimes: { accessToken: 10, refreshToken: 100 } });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    expect(tokens.json['expires_in']).toBe(10);
    passSeconds(11);
    expect(said(await at.client.userinfo(tokens))).toEqual([401, 'invalid_token']);
    passSeconds(100);
    expect(said(await at.client.refresh(clientId, tokens))).toEqual([400, 'invalid_grant']);
  });

  it.each([{ disabled: true }, { aupSigned: false }])(
    'answers invalid_grant for a person with %o',
    async (change) => {
      await using at = await standard();
      const { clientId } = await at.client.register();
      const tokens = await at.client.login(clientId);
      at.iam.changeUser('alice', change);
      expect(said(await at.client.refresh(clientId, tokens))).toEqual([400, 'invalid_grant']);
    },
  );

  it('remembers an audience of the device endpoint; the poll has the last word', async () => {
    await using at = await standard();
    const { client, iam } = at;
    const { clientId } = await client.register();
    const login = async (poll: Record<string, string>): Promise<Answer> => {
      const device = await client.startDevice(clientId, { audience: 'early' });
      await iam.approve(String(device.json['user_code']), 'alice', never);
      return await client.poll(clientId, device, poll);
    };
    const early = await login({});
    expect(audienceOf(early)).toBe('early');
    expect(audienceOf(await client.refresh(clientId, early))).toBe('early');
    expect(audienceOf(await login({ audience: 'late' }))).toBe('late');
  });

  it('registers as RFC 7591 says', async () => {
    await using at = await standard();
    const { status, json } = await at.client.postJson('registration_endpoint', confidentialClient);
    expect(status).toBe(201);
    expect(json).toMatchObject({ client_secret_expires_at: 0, response_types: [] });
    expect(json['client_id_issued_at']).toBeTypeOf('number');
    const desk = await at.client.postJson('registration_endpoint', {
      ...publicClient,
      grant_types: ['authorization_code', DEVICE_GRANT],
      redirect_uris: ['http://127.0.0.1/callback'],
      application_type: 'native',
    });
    expect(desk.json).toMatchObject({ response_types: ['code'] });
    const broken = await at.client.postJson('registration_endpoint', '{');
    expect(said(broken)).toEqual([400, 'invalid_request']);
  });

  it('does not advertise registration when it is disabled', async () => {
    await using at = await standard({ registration: 'disabled' });
    expect(at.client.discovery).not.toHaveProperty('registration_endpoint');
  });

  it('wants a confidential client to authenticate at the device endpoint', async () => {
    await using at = await standard();
    const { clientId } = await at.client.register(confidentialClient);
    expect(said(await at.client.startDevice(clientId))).toEqual([401, 'invalid_client']);
    const form = { client_id: clientId, scope: SCOPE };
    const wrong = basic(clientId, 'wrong');
    const refused = await at.client.post('device_authorization_endpoint', form, wrong);
    expect(said(refused)).toEqual([401, 'invalid_client']);
    expect(said(await at.client.startDevice('nobody'))).toEqual([401, 'invalid_client']);
  });

  it('revokes for a public client with a plain 200, and not for another client', async () => {
    await using at = await standard();
    const { client } = at;
    const { clientId } = await client.register();
    const other = await client.register();
    const tokens = await client.login(clientId);
    const token = String(tokens.json['refresh_token']);
    await client.post('revocation_endpoint', { client_id: other.clientId, token });
    const refreshed = await client.refresh(clientId, tokens);
    expect(refreshed.status).toBe(200);
    const mine = { client_id: clientId, token: String(refreshed.json['refresh_token']) };
    expect((await client.post('revocation_endpoint', mine)).status).toBe(200);
    expect(said(await client.refresh(clientId, refreshed))).toEqual([400, 'invalid_grant']);
  });

  it('ends a login at the revocation of its JWT access token, and refuses one it did not sign', async () => {
    await using at = await standard();
    const { client } = at;
    const { clientId } = await client.register();
    const tokens = await client.login(clientId);
    const token = String(tokens.json['access_token']);
    const [header = '', claims = ''] = token.split('.');
    const forged = `${header}.${claims}.${'A'.repeat(342)}`;
    expect((await client.bearer(client.url('userinfo_endpoint'), forged)).status).toBe(401);
    expect((await client.userinfo(tokens)).status).toBe(200);
    await client.post('revocation_endpoint', { client_id: clientId, token });
    expect((await client.userinfo(tokens)).status).toBe(401);
    expect(said(await client.refresh(clientId, tokens))).toEqual([400, 'invalid_grant']);
  });
});
