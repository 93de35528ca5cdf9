import { describe, expect, it } from 'vitest';
import { originsOf } from '../../../src/config/setting-origins.ts';
import { type Environment, type Flags, resolveSettings } from '../../../src/config/settings.ts';

describe('where a setting comes from', () => {
  it('is what outweighed the others, and what a person would look for', () => {
    const flags = { endpoint: 'https://flag.test' };
    const environment = { WIRE_ENDPOINT: 'https://env.test', WIRE_ROLE: 'r', WIRE_REGION: '' };
    const profile = { endpoint: 'https://file.test', role: 'x', audience: 'object' };
    const settings = resolveSettings(flags, environment, profile);
    const lines = new Map([['audience', 7]] as const);
    const origins = originsOf(settings, flags, environment, { settings: profile, lines });
    expect(origins).toMatchObject({
      endpoint: { value: 'https://flag.test', origin: 'flag', said: '--endpoint' },
      role: { value: 'r', origin: 'environment', said: 'WIRE_ROLE' },
      audience: { value: 'object', origin: 'profile', said: 'audience:', line: 7 },
      // An empty variable is an unset one.
      region: { value: 'us-east-1', origin: 'default', said: '' },
    });
    expect(origins).not.toHaveProperty('issuer');
  });

  it('of a source of tokens is what it follows from', () => {
    const profile = { tokenSource: 'login', oidcAgent: 'work' } as const;
    const lines = new Map([['tokenSource', 3]] as const);
    const from = (flags: Flags, environment: Environment): unknown => {
      const settings = resolveSettings(flags, environment, profile);
      const origins = originsOf(settings, flags, environment, { settings: profile, lines });
      return origins['token-source'];
    };
    expect(from({}, {})).toEqual({
      ...{ value: 'login', origin: 'profile', said: 'token-source:', line: 3 },
    });
    expect(from({ tokenFile: '/t' }, {})).toEqual({
      ...{ value: 'file', origin: 'flag', said: '--token-file' },
    });
    expect(from({}, { WIRE_MYTOKEN_FILE: '/t' })).toEqual({
      ...{ value: 'mytoken', origin: 'environment', said: 'WIRE_MYTOKEN_FILE' },
    });
  });
});
