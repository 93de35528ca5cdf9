import { once } from 'node:events';
import { connect } from 'node:net';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { startIam } from '../../../../src/demo/iam/iam.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';
import { type Answer, alice, type Bench, bench, never, send } from './iam-client.ts';

describe.each(['standard', 'indigo'] as const)('controls of the IAM, dialect %s', (dialect) => {
  it('count the requests of each endpoint', async () => {
    await using at = await bench({ dialect });
    at.iam.resetCounters();
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    await at.client.refresh(clientId, tokens);
    await at.client.userinfo(tokens);
    await send(at.client.url('jwks_uri'));
    expect(at.iam.counters()).toMatchObject({
      discovery: 0,
      registration: 1,
      device: 1,
      token: 2,
      userinfo: 1,
      jwks: 1,
      revocation: 0,
      introspection: 0,
      authorization: 0,
    });
    expect(at.iam.counters().page).toBeGreaterThan(2);
  });

  it('fail the next requests of one endpoint only, then no more', async () => {
    await using at = await bench({ dialect });
    const { clientId } = await at.client.register();
    at.iam.addFault({ endpoint: 'device', times: 2, status: 503, headers: { 'retry-after': '7' } });
    at.iam.addFault({ endpoint: 'device', status: 400, body: { error: 'slow_down' } });
    at.iam.addFault({ endpoint: 'device', status: 502, body: '<h1>Bad gateway</h1>' });
    const answers: Answer[] = [];
    for (let i = 0; i < 5; i += 1) answers.push(await at.client.startDevice(clientId));
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 400, 502, 200]);
    expect(answers[0]?.headers.get('retry-after')).toBe('7');
    expect(answers[2]?.json['error']).toBe('slow_down');
    expect(answers[3]?.headers.get('content-type')).toContain('text/html');
    expect((await send(at.client.url('jwks_uri'))).status).toBe(200);
  });

  it('can be told to forget faults', async () => {
    await using at = await bench({ dialect });
    at.iam.addFault({ endpoint: 'any', times: 100, status: 500 });
    at.iam.clearFaults();
    expect((await send(at.client.url('jwks_uri'))).status).toBe(200);
  });

  it('hold an answer back for as long as they were told', async () => {
    const clock = new FakeClock();
    await using at = await bench({ dialect, clock });
    at.iam.addFault({ endpoint: 'jwks', delayMs: 5000 });
    const answer = send(at.client.url('jwks_uri'));
    await clock.sleeper();
    expect(clock.nextDueMs).toBe(5000);
    await clock.advance(5000);
    expect((await answer).status).toBe(200);
  });

  it('cut a connection before or after the request took effect', async () => {
    await using at = await bench({ dialect, rotateRefreshTokens: true });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    at.iam.addFault({ endpoint: 'token', drop: 'before' });
    await expect(at.client.refresh(clientId, tokens)).rejects.toThrow('fetch failed');
    const second = await at.client.refresh(clientId, tokens);
    expect(second.status).toBe(200);
    at.iam.addFault({ endpoint: 'token', drop: 'after' });
    await expect(at.client.refresh(clientId, second)).rejects.toThrow('fetch failed');
    expect((await at.client.refresh(clientId, second)).status).toBeGreaterThanOrEqual(400);
  });

  it('change lifetimes for what is given out from then on', async () => {
    await using at = await bench({ dialect });
    const { clientId } = await at.client.register();
    at.iam.setLifetimes({ accessToken: 10, deviceCode: 20 });
    expect((await at.client.startDevice(clientId)).json['expires_in']).toBe(20);
    const tokens = await at.client.login(clientId);
    const { exp = 0, iat = 0 } = decodeJwt(String(tokens.json['access_token']));
    expect([tokens.json['expires_in'], exp - iat]).toEqual([10, 10]);
  });

  it('expire every refresh token', async () => {
    await using at = await bench({ dialect });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    at.iam.expireRefreshTokens();
    expect((await at.client.refresh(clientId, tokens)).status).toBe(
      dialect === 'indigo' ? 401 : 400,
    );
    expect((await at.client.userinfo(tokens)).status).toBe(200);
  });

  it('revoke everything', async () => {
    await using at = await bench({ dialect });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    at.iam.revokeAll();
    expect((await at.client.refresh(clientId, tokens)).status).toBe(
      dialect === 'indigo' ? 401 : 400,
    );
    expect((await at.client.userinfo(tokens)).status).toBe(401);
  });

  it('forget a client with all that it was given', async () => {
    await using at = await bench({ dialect });
    const { clientId } = await at.client.register();
    const tokens = await at.client.login(clientId);
    const other = await at.client.register();
    const others = await at.client.login(other.clientId);
    at.iam.deleteClient(clientId);
    expect((await at.client.refresh(clientId, tokens)).status).toBe(401);
    expect((await at.client.userinfo(tokens)).status).toBe(401);
    const device = await at.client.startDevice(clientId);
    expect(device.status).toBe(dialect === 'indigo' ? 404 : 401);
    expect((await at.client.refresh(other.clientId, others)).status).toBe(200);
  });

  it('rotate the signing key, keeping or dropping the old one', async () => {
    await using at = await bench({ dialect });
    const check = async (token: string): Promise<boolean> => {
      const keys = createRemoteJWKSet(new URL(at.client.url('jwks_uri')));
      return await jwtVerify(token, keys).then(
        () => true,
        () => false,
      );
    };
    const { clientId } = await at.client.register();
    const old = await at.client.login(clientId);
    await at.iam.rotateKey();
    const renewed = await at.client.refresh(clientId, old);
    expect(await check(String(old.json['access_token']))).toBe(true);
    expect(await check(String(renewed.json['access_token']))).toBe(true);
    expect(await check(String(renewed.json['id_token']))).toBe(true);
    await at.iam.rotateKey(false);
    expect(await check(String(renewed.json['access_token']))).toBe(false);
  });

  it('mint tokens with any claims', async () => {
    await using at = await bench({ dialect });
    const token = await at.iam.mint(
      { sub: 'anybody', groups: ['x'] },
      { audience: ['a', 'b'], expiresInSeconds: -5 },
    );
    const { exp = 0, iat = 0, ...claims } = decodeJwt(token);
    expect(claims).toMatchObject({ iss: at.iam.issuer, sub: 'anybody', aud: ['a', 'b'] });
    expect(exp - iat).toBe(-5);
  });

  it('refuse to change a person nobody knows', async () => {
    await using at = await bench({ dialect });
    expect(() => at.iam.changeUser('mallory', { disabled: true })).toThrow('mallory');
  });
});

async function control(at: Bench, name: string, body?: unknown): Promise<Answer> {
  const url = new URL(`/_playground/iam/${name}`, at.iam.issuer).href;
  if (body === undefined) return await send(url);
  return await send(url, { method: 'POST', body: JSON.stringify(body) });
}

describe('controls of the IAM over HTTP', () => {
  it('do for child processes what the object does', async () => {
    await using at = await bench({ dialect: 'indigo' });
    const { clientId } = await at.client.register();
    expect((await control(at, 'counters')).json).toEqual(at.iam.counters());
    await control(at, 'reset-counters', {});
    expect(at.iam.counters().registration).toBe(0);

    await control(at, 'faults', { endpoint: 'device', status: 503, times: 9 });
    expect((await at.client.startDevice(clientId)).status).toBe(503);
    await control(at, 'clear-faults', {});
    await control(at, 'lifetimes', { deviceCode: 42 });
    expect((await at.client.startDevice(clientId)).json['expires_in']).toBe(42);

    const tokens = await at.client.login(clientId);
    await control(at, 'user', { name: 'alice', disabled: true });
    expect((await at.client.refresh(clientId, tokens)).json['error']).toBe('unauthorized');
    await control(at, 'user', { name: 'alice', disabled: false });
    await control(at, 'expire-refresh-tokens', {});
    expect((await at.client.refresh(clientId, tokens)).json['error']).toBe('invalid_token');
    await control(at, 'revoke-all', {});
    expect((await at.client.userinfo(tokens)).status).toBe(401);

    await control(at, 'rotate-key', { keepOld: false });
    const { keys } = (await send(at.client.url('jwks_uri'))).json as { keys: unknown[] };
    expect(keys).toHaveLength(1);
    const minted = await control(at, 'mint', { claims: { sub: 'x' }, audience: 'y' });
    expect(decodeJwt(String(minted.json['token']))).toMatchObject({ sub: 'x', aud: 'y' });
  });

  it('answer 400 for what they do not know, and 405 for another method', async () => {
    await using at = await bench({ dialect: 'indigo' });
    expect((await control(at, 'nonsense', {})).status).toBe(400);
    expect((await control(at, 'user', { name: 'mallory' })).status).toBe(400);
    expect((await control(at, 'mint')).status).toBe(405);
  });
});

describe.each(['standard', 'indigo'] as const)('life of the IAM, dialect %s', (dialect) => {
  it('closes at once, open connections too, and gives its port back', async () => {
    const first = await startIam({ dialect, users: [alice] }, never);
    const port = Number(new URL(first.issuer).port);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    socket.resume().on('error', () => undefined);
    await first[Symbol.asyncDispose]();
    await closed;
    await using again = await startIam({ dialect, users: [alice], port }, never);
    expect(new URL(again.issuer).port).toBe(String(port));
  });

  it('closes when its signal aborts, also amid a delayed answer', async () => {
    const stop = new AbortController();
    const clock = new FakeClock();
    await using iam = await startIam({ dialect, users: [alice], clock }, stop.signal);
    iam.addFault({ endpoint: 'discovery', delayMs: 60_000 });
    const answer = send(new URL('/.well-known/openid-configuration', iam.issuer).href);
    const failed = expect(answer).rejects.toThrow('fetch failed');
    await clock.sleeper();
    stop.abort();
    await failed;
    expect(clock.sleeping).toBe(0);
    await expect(send(iam.issuer)).rejects.toThrow('fetch failed');
  });

  it('says so when its port is taken', async () => {
    await using iam = await startIam({ dialect, users: [alice] }, never);
    const port = Number(new URL(iam.issuer).port);
    const second = startIam({ dialect, users: [alice], port }, never);
    await expect(second).rejects.toMatchObject({ kind: 'unavailable' });
  });

  it('does not start when its signal has aborted already', async () => {
    const users = [alice];
    await expect(startIam({ dialect, users }, AbortSignal.abort())).rejects.toThrow('abort');
  });

  it('listens on 127.0.0.1 only', async () => {
    await using iam = await startIam({ dialect, users: [alice] }, never);
    const socket = connect(Number(new URL(iam.issuer).port), '::1');
    await expect(once(socket, 'connect')).rejects.toThrow('ECONNREFUSED');
  });
});
