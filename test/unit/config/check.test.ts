import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/config/check.ts';

const check = (text: string, environment: Readonly<Record<string, string>> = {}) =>
  checkConfig(text, '/c.yaml', '/home/u', environment);

describe('what is wrong with a configuration', () => {
  it('is nothing when it can be used', () => {
    const found = check('profiles: { work: { endpoint: https://s3.example } }', {
      WIRE_PROFILE: 'work',
      WIRE_LOG: 'debug',
      WIRE_CACHE: 'full',
      WIRE_REGION: '',
      WIRE_KEY_FILE: '/k',
      WIRE_CONFIG: '/c.yaml',
      // Somebody else's.
      WIRE_PROTOCOL_OF_MY_COMPANY: 'x',
      PATH: '/bin',
    });
    expect(found).toMatchObject({ faults: [], variables: [] });
  });

  it('is told in the order of the file, with what contradicts itself', () => {
    const { faults, config } = check(`profiles:
  a:
    token-file: /t
    oidc-agent: work
  b: { endpoint: x }
  c:
    token-file: /t
    oidc-agent: work
    token-source: file
`);
    expect(faults).toEqual([
      {
        line: 4,
        key: 'profiles.a',
        fault: expect.stringContaining('file, oidc-agent (say which') as string,
      },
      { line: 5, key: 'profiles.b.endpoint', fault: expect.any(String) as string },
    ]);
    expect([...config.profiles.keys()]).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['WIRE_LIST_TTL', 'soon', 'is not a time'],
    ['WIRE_LOG', 'loud', 'is none of error'],
    ['WIRE_PROFILE', 'other', 'is none of work'],
    ['WIRE_ENDPIONT', 'https://s3.example', 'is WIRE_ENDPOINT meant?'],
  ])('is also %s=%s: it %s', (variable, value, fault) => {
    expect(check('profiles: { work: {} }', { [variable]: value }).variables).toEqual([
      { variable, fault: expect.stringContaining(fault) as string },
    ]);
  });
});
