import * as oidc from 'openid-client';
import { describe, expect, it } from 'vitest';
import {
  alice,
  bench,
  confidentialClient,
  DEVICE_GRANT,
  never,
  publicClient,
  SCOPE,
} from './iam-client.ts';

// eslint-disable-next-line @typescript-eslint/no-deprecated -- its mark for plain HTTP: loopback here
const insecure = { execute: [oidc.allowInsecureRequests] };

describe('openid-client', () => {
  it.each(['standard', 'indigo'] as const)('logs in at the IAM, dialect %s', async (dialect) => {
    await using at = await bench({ dialect });
    const config = await oidc.dynamicClientRegistration(
      new URL(at.iam.issuer),
      { ...publicClient, redirect_uris: [] },
      oidc.None(),
      insecure,
    );
    const device = await oidc.initiateDeviceAuthorization(config, { scope: SCOPE });
    await at.iam.approve(device.user_code, 'alice', never);
    const { device_code } = device;
    const tokens = await oidc.genericGrantRequest(config, DEVICE_GRANT, {
      device_code,
      audience: 'wire-s3',
    });
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token ?? '');
    expect(refreshed.claims()).toMatchObject({ sub: alice.sub });
    const person = await oidc.fetchUserInfo(config, refreshed.access_token, alice.sub);
    expect(person.preferred_username).toBe('alice');
  });

  it('cannot take the confidential registration of INDIGO IAM, nor its public revocation', async () => {
    await using at = await bench({ dialect: 'indigo' });
    const issuer = new URL(at.iam.issuer);
    const confidential = oidc.dynamicClientRegistration(
      issuer,
      { ...confidentialClient, redirect_uris: [] },
      undefined,
      insecure,
    );
    await expect(confidential).rejects.toMatchObject({ code: 'OAUTH_INVALID_RESPONSE' });
    const { clientId } = await at.client.register();
    const config = await oidc.discovery(issuer, clientId, undefined, oidc.None(), insecure);
    const tokens = await at.client.login(clientId);
    const revocation = oidc.tokenRevocation(config, String(tokens.json['refresh_token']));
    await expect(revocation).rejects.toBeInstanceOf(Error);
    expect((await at.client.refresh(clientId, tokens)).status).toBe(401);
  });
});
