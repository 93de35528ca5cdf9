import { expect, it, vi } from 'vitest';
import { basic, bench, confidentialClient, never, SCOPE, send } from './iam-client.ts';

it('neither prints anything nor warns, from loading oidc-provider to closing', async () => {
  const printed: unknown[] = [];
  for (const method of ['log', 'info', 'warn', 'error'] as const) {
    vi.spyOn(console, method).mockImplementation((...words) => void printed.push(words));
  }
  const onWarning = (warning: Error): void => void printed.push(String(warning));
  process.on('warning', onWarning);
  try {
    await using at = await bench({ dialect: 'standard' });
    const { client, iam } = at;
    const { clientId, secret = '' } = await client.register(confidentialClient);
    const auth = basic(clientId, secret);
    const start = { client_id: clientId, scope: SCOPE };
    const device = await client.post('device_authorization_endpoint', start, auth);
    await iam.approve(String(device.json['user_code']), 'alice', never);
    const device_code = String(device.json['device_code']);
    const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
    const tokens = await client.post('token_endpoint', { grant_type, device_code }, auth);
    const refresh_token = String(tokens.json['refresh_token']);
    const refresh = { grant_type: 'refresh_token', refresh_token };
    const refreshed = await client.post('token_endpoint', refresh, auth);
    expect(refreshed.status).toBe(200);
    const form = { token: String(refreshed.json['access_token']) };
    expect((await client.userinfo(refreshed)).status).toBe(200);
    await client.post('introspection_endpoint', form, auth);
    await client.post('revocation_endpoint', form, auth);
    await send(`${iam.issuer}/device`);
    await send(`${iam.issuer}/auth?client_id=nobody`);
    await send(`${iam.issuer}/interaction/unknown`);
    await send(`${iam.issuer}/nothing`);
    // Warnings are emitted on the next tick.
    await new Promise(setImmediate);
  } finally {
    process.off('warning', onWarning);
  }
  expect(printed).toEqual([]);
});
