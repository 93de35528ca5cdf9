import { inspect } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { discoverIssuer } from '../../../src/auth/issuer.ts';
import { decodeLogins, encodeLogins } from '../../../src/auth/login-codec.ts';
import {
  clientIsGone,
  deleteClient,
  type RegistrationRequest,
  registerClient,
} from '../../../src/auth/registration.ts';
import type { StoredClient } from '../../../src/auth/token-vault.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeIssuer } from '../../fixtures/fake-issuer.ts';

const signal = new AbortController().signal;
const uris = ['http://127.0.0.1:18410/callback', 'http://127.0.0.1:20410/callback'];
let issuer: FakeIssuer;

beforeEach(async () => {
  issuer = await FakeIssuer.start();
});
afterEach(async () => await issuer[Symbol.asyncDispose]());

async function register(over: Partial<RegistrationRequest> = {}): Promise<StoredClient> {
  const asked = {
    clientName: 'wire on test',
    scopes: ['openid', 'offline_access'],
    publicClient: false,
    redirectUris: [],
    ...over,
  };
  return await registerClient(await discoverIssuer(issuer.url, {}, signal), asked, {}, signal);
}

async function refusal(over: Partial<RegistrationRequest> = {}): Promise<WireError> {
  const error: unknown = await register(over).catch((reason: unknown) => reason);
  if (error instanceof WireError) return error;
  throw new Error(`no WireError: ${inspect(error)}`);
}

/** What was asked for, request by request. */
const asked = (): Readonly<Record<string, unknown>>[] =>
  issuer.of('register').map(({ body }) => JSON.parse(body) as Record<string, unknown>);

const publicReply = (): { readonly status: number; readonly json: unknown } => ({
  status: 201,
  json: issuer.registration({ client_secret: undefined, token_endpoint_auth_method: 'none' }),
});

describe('registering a client', () => {
  it('asks for the device flow alone, confidential, and takes a reply without an expiry', async () => {
    const client = await register();
    expect(asked()).toEqual([
      {
        client_name: 'wire on test',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        response_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
        scope: 'openid offline_access',
      },
    ]);
    expect(issuer.secrets).toContain(client.secret?.reveal());
    expect(client.registration).toMatchObject({
      asked: ['openid', 'offline_access'],
      scopes: ['openid', 'offline_access'],
    });
    expect(client.registration?.redirectUris).toBeUndefined();
  });

  it('asks for a browser too, as a native client that comes back to 127.0.0.1', async () => {
    const client = await register({ redirectUris: uris });
    expect(asked()[0]).toMatchObject({
      grant_types: [
        'urn:ietf:params:oauth:grant-type:device_code',
        'authorization_code',
        'refresh_token',
      ],
      response_types: ['code'],
      application_type: 'native',
      redirect_uris: uris,
    });
    expect(client.registration?.redirectUris).toEqual(uris);
  });

  it('asks for no device flow where there is none', async () => {
    const without = { device_authorization_endpoint: undefined };
    issuer.always('discovery', { json: issuer.document(without) });
    await register({ redirectUris: uris });
    expect(asked()[0]?.['grant_types']).toEqual(['authorization_code', 'refresh_token']);
  });

  it('keeps of the addresses what the provider kept', async () => {
    const json = issuer.registration({ redirect_uris: ['https://evil.example/', uris[1]] });
    issuer.next('register', { status: 201, json });
    const client = await register({ redirectUris: uris });
    expect(client.registration?.redirectUris).toEqual([uris[1]]);
    const stored = { issuer: issuer.url, client };
    expect(decodeLogins(encodeLogins([stored]))).toEqual([stored]);
  });

  it.each([
    ['an empty 400', { status: 400, text: '' }],
    ['a 400 in free text', { status: 400, json: { error: 'no confidential clients here' } }],
    ['a 400 as RFC 7591 has it', { status: 400, json: { error: 'invalid_client_metadata' } }],
  ])('becomes public after %s', async (_, answer) => {
    issuer.next('register', answer);
    issuer.next('register', publicReply());
    const client = await register();
    expect(client.secret).toBeUndefined();
    expect(asked().map((request) => request['token_endpoint_auth_method'])).toEqual([
      'client_secret_basic',
      'none',
    ]);
  });

  it('is public at once when that is wanted', async () => {
    issuer.next('register', publicReply());
    expect((await register({ publicClient: true })).secret).toBeUndefined();
    expect(asked()).toHaveLength(1);
  });

  it.each([
    ['only registered users may', { status: 403, json: { error: 'not allowed' } }, 'not allowed'],
    [
      'it is disabled',
      { status: 400, json: { error: 'Client registration is disabled' } },
      'is disabled',
    ],
    ['a token is wanted', { status: 401, json: { error: 'invalid_token' } }, 'invalid_token'],
    ['nothing is said', { status: 400, text: '' }, '400'],
    ['there is no such page', { status: 404, text: '<title>Not Found</title>' }, 'Not Found'],
  ])('asks for --client-id when %s', async (_, answer, words) => {
    issuer.always('register', answer);
    const error = await refusal();
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain(words);
    expect(error.toLine()).toContain('--client-id');
  });

  it('shows the reason of the first refusal when the second has none', async () => {
    issuer.next('register', { status: 400, json: { error: 'scope x is unknown' } });
    issuer.next('register', { status: 400, text: '' });
    expect((await refusal()).message).toContain('scope x is unknown');
  });

  it('asks for patience, not for --client-id, when the provider is down', async () => {
    issuer.always('register', { status: 502, text: '<h1>Bad Gateway</h1>' });
    const error = await refusal();
    expect([error.kind, error.facts.next]).toEqual(['unavailable', 'try again later']);
  });

  it.each([
    ['a page', { status: 201, text: '<html>hello</html>' }, 'unavailable'],
    ['no client_id', { status: 201, json: { client_name: 'x' } }, 'identity-refused'],
    ['a list', { status: 201, json: [] }, 'identity-refused'],
  ])('takes %s for no registration', async (_, answer, kind) => {
    issuer.always('register', answer);
    expect((await refusal()).kind).toBe(kind);
  });

  it.each([
    ['ws', 'ws--'],
    ['x'.repeat(300), 'x'.repeat(256)],
    [`${'x'.repeat(255)}😀`, 'x'.repeat(255)],
  ])('keeps names within 4 to 256 characters', async (clientName, sent) => {
    await register({ clientName });
    expect(asked()[0]?.['client_name']).toBe(sent);
  });

  it('sends the registration token to no other host', async () => {
    const registration_client_uri = 'https://evil.example/register/1';
    const json = issuer.registration({ registration_client_uri });
    issuer.next('register', { status: 201, json });
    const client = await register();
    expect(client.registration?.uri).toBeUndefined();
    await expect(deleteClient(client, {}, signal)).rejects.toMatchObject({ kind: 'unsupported' });
    expect(await clientIsGone(client, {}, signal)).toBe(false);
  });

  it('shows no secret of its reply', async () => {
    const client = await register();
    const shown = inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client);
    for (const secret of issuer.secrets) expect(shown).not.toContain(secret);
  });
});

describe('a registered client', () => {
  it.each([
    [200, false],
    [401, true],
    [404, true],
    [500, false],
  ])('that is asked for with answer %i is gone: %s', async (status, gone) => {
    const client = await register();
    issuer.next('register', { status, text: '' });
    expect(await clientIsGone(client, {}, signal)).toBe(gone);
    const [, seen] = issuer.of('register');
    expect(seen).toMatchObject({ method: 'GET', path: `/register/${client.id}` });
    const token = client.registration?.token?.reveal() ?? '';
    expect(seen?.headers.authorization).toBe(`Bearer ${token}`);
  });
});
