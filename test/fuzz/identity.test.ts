/** What identity providers, token files and the vault hold, damaged. */
import { describe, expect } from 'vitest';
import { decodeJwt, toClaims } from '../../src/auth/jwt.ts';
import { decodeLogins } from '../../src/auth/login-codec.ts';
import { repaired } from '../../src/auth/reply-repairs.ts';
import { tokenIn } from '../../src/auth/sources/token-text.ts';
import { Secret } from '../../src/lib/secret.ts';
import { WireError } from '../../src/lib/wire-error.ts';
import { fuzz, orRefused } from './fuzzing.ts';

const claims = {
  iss: 'https://iam.example.org/',
  sub: 'a11ce000-0000-4000-8000-000000000001',
  aud: ['wire-s3', 'other'],
  exp: 1_795_380_600,
  iat: 1_795_377_000,
  nbf: 1_795_377_000,
  preferred_username: 'alice',
  groups: ['a', 'b/c'],
  scope: 'openid profile',
};
const base64url = (value: unknown): string =>
  Buffer.from(JSON.stringify(value)).toString('base64url');
const token = `${base64url({ alg: 'RS256' })}.${base64url(claims)}.c2lnbmF0dXJl`;

describe('a token that is damaged', () => {
  fuzz('is claims of the right types, or none', {
    name: 'jwt',
    seeds: [token, 'opaque', '..', 'a.e30.b'],
    read: (document) => {
      const found = decodeJwt(new Secret(document.toString('latin1')));
      if (found !== undefined) expectClaims(found);
    },
  });

  fuzz('has claims of the right types whatever its JSON says', {
    name: 'claims',
    seeds: [JSON.stringify(claims), '{"aud":null,"exp":"soon"}'],
    read: (document) => {
      const found = decodeJwt(new Secret(`x.${document.toString('base64url')}.y`));
      if (found !== undefined) expectClaims(found);
    },
  });

  fuzz('is a token without spaces and controls, or refused', {
    name: 'token-file',
    seeds: [`${token}\n`, '  \n', '"quoted"'],
    read: (document) => {
      const isTyped = (error: unknown): boolean =>
        error instanceof WireError && error.kind === 'config';
      const found = orRefused(() => tokenIn(document.toString('utf8'), 'a file'), isTyped);
      if (found !== undefined) expect(found.reveal()).toMatch(/^[\x21-\x7e]+$/);
    },
  });
});

function expectClaims(found: ReturnType<typeof toClaims>): void {
  for (const times of [found.expiresAtMs, found.issuedAtMs, found.notBeforeMs]) {
    if (times !== undefined) expect(Number.isNaN(new Date(times).getTime())).toBe(false);
  }
  for (const list of [found.audiences, found.groups, found.scopes]) {
    expect(list.every((each) => typeof each === 'string' && each !== '')).toBe(true);
  }
}

const deviceReply = {
  device_code: 'dc',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://iam.example.org/device',
  interval: 5,
};
const metadata = {
  issuer: 'https://iam.example.org/',
  device_authorization_endpoint: 'https://iam.example.org/devicecode',
  token_endpoint: 'https://iam.example.org/token',
  revocation_endpoint: 'https://iam.example.org/revoke',
};

describe('a reply of an identity provider that is damaged', () => {
  fuzz('is put right or left as it is', {
    name: 'iam-reply',
    seeds: [
      JSON.stringify(deviceReply),
      JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: '3600' }),
      '{"error":"authorization_pending"}',
    ],
    read: (document) => {
      const text = document.toString('utf8');
      const reply = { status: 200, headers: new Map(), text, serverTimeMs: undefined };
      for (const url of Object.values(metadata)) {
        expect(repaired(reply, url, metadata, {}).status).toBe(200);
      }
    },
  });
});

describe('logins in the vault that are damaged', () => {
  fuzz('are whole logins, or an error', {
    name: 'logins',
    seeds: [
      JSON.stringify([
        {
          issuer: 'https://iam.example.org/',
          client: {
            id: 'c',
            secret: 's',
            registration: { asked: ['openid'], uri: 'u', token: 't' },
          },
          grant: { refreshToken: 'r', scopes: ['openid'] },
        },
      ]),
      '[]',
    ],
    read: (document) => {
      const read = (): readonly unknown[] => decodeLogins(document.toString('utf8'));
      expect(Array.isArray(orRefused(read, isPlainError) ?? [])).toBe(true);
    },
  });
});

/** No defect: those are of other classes. */
function isPlainError(error: unknown): boolean {
  return error instanceof SyntaxError || (error instanceof Error && error.name === 'Error');
}
