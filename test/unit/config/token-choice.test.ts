import { describe, expect, it } from 'vitest';

import type { Settings } from '../../../src/config/options.ts';
import { type Environment, type Flags, resolveSettings } from '../../../src/config/settings.ts';
import { namedSources } from '../../../src/config/token-choice.ts';

const choice = (flags: Flags, environment: Environment = {}, profile: Settings = {}): unknown =>
  resolveSettings(flags, environment, profile).tokenSource;

describe('the source of tokens that is named', () => {
  it('is the one that takes the option', () => {
    expect(choice({})).toBeUndefined();
    expect(choice({ tokenFile: '/t' })).toBe('file');
    expect(choice({ oidcAgent: 'acc' })).toBe('oidc-agent');
    expect(choice({ mytokenFile: '/m' })).toBe('mytoken');
    expect(choice({}, { WIRE_TOKEN_FILE: '/t' })).toBe('file');
    expect(choice({}, {}, { oidcAgent: 'acc' })).toBe('oidc-agent');
  });

  it('is the one of the strongest place: flag, environment, profile', () => {
    const profile = { tokenSource: 'hub', oidcAgent: 'acc' } as const;
    expect(choice({}, {}, profile)).toBe('hub');
    expect(choice({}, { WIRE_TOKEN_FILE: '/t' }, profile)).toBe('file');
    const environment = { WIRE_TOKEN_SOURCE: 'wlcg' };
    expect(choice({ mytokenFile: '/m' }, environment, profile)).toBe('mytoken');
    expect(choice({ tokenSource: 'login' }, { WIRE_TOKEN_FILE: '/t' }, profile)).toBe('login');
    expect(choice({ tokenFile: '/t', tokenSource: 'login' })).toBe('login');
  });

  it('takes what weaker places say of the same source', () => {
    const settings = resolveSettings({ mytokenFile: '/m' }, {}, { mytokenServer: 'https://m' });
    expect(settings).toMatchObject({ tokenSource: 'mytoken', mytokenServer: 'https://m' });
    expect(choice({ mytokenFile: '/m', mytokenServer: 'https://m' })).toBe('mytoken');
  });

  it('is asked for where one place names two, but not where a stronger one decides', () => {
    const two = { tokenFile: '/t', oidcAgent: 'acc' };
    expect(() => choice(two)).toThrow('several token sources are named: file, oidc-agent');
    expect(() => choice({}, {}, two)).toThrow('several token sources');
    expect(choice({ oidcAgent: 'x' }, {}, two)).toBe('oidc-agent');
    expect(choice({ tokenSource: 'file' }, {}, two)).toBe('file');
    expect(namedSources(two)).toEqual(['file', 'oidc-agent']);
  });

  it('an empty variable names nothing', () => {
    expect(choice({}, { WIRE_TOKEN_FILE: '' })).toBeUndefined();
  });
});
