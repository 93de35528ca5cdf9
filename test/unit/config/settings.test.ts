import { describe, expect, it } from 'vitest';
import { type Option, type OptionName, options } from '../../../src/config/options.ts';
import { resolveSettings } from '../../../src/config/settings.ts';

describe('resolveSettings', () => {
  it('a flag wins over the environment, that over the profile, that over the default', () => {
    const flags = { region: 'flag' };
    const environment = { WIRE_REGION: 'environment' };
    const profile = { region: 'profile' };
    expect(resolveSettings(flags, environment, profile).region).toBe('flag');
    expect(resolveSettings({}, environment, profile).region).toBe('environment');
    expect(resolveSettings({}, {}, profile).region).toBe('profile');
    expect(resolveSettings({}, {}, {}).region).toBe('us-east-1');
  });

  it('an empty variable is an unset one', () => {
    expect(resolveSettings({}, { WIRE_ROLE: '' }, { role: 'profile' }).role).toBe('profile');
  });

  it('what is set nowhere is absent', () => {
    expect(Object.keys(resolveSettings({}, {}, {})).sort()).toEqual([
      'addressing',
      'cacheBytes',
      'cacheEncrypted',
      'cacheMode',
      'capacityBytes',
      'consistency',
      'expiryWaitSeconds',
      'listTtlMs',
      'memoryBytes',
      'metrics',
      'posix',
      'region',
      'requesterPays',
      'scopes',
      'sessionName',
      'sessionPolicy',
      'stopTimeoutMs',
      'writeBack',
    ]);
  });

  it('asks for a refresh token unless other scopes are named', () => {
    expect(resolveSettings({}, {}, {}).scopes).toContain('offline_access');
    expect(resolveSettings({ scopes: 'openid x' }, {}, {}).scopes).toEqual(['openid', 'x']);
  });

  it('tells every bad value at once, with where it came from', () => {
    const resolve = () =>
      resolveSettings(
        { duration: 'x', durationSeconds: 'soon' } as never,
        { WIRE_ENDPOINT: 'nowhere' },
        {},
      );
    expect(resolve).toThrow(
      /--duration soon is not a duration.*WIRE_ENDPOINT=nowhere is not a URL|WIRE_ENDPOINT=nowhere is not a URL.*--duration soon/,
    );
    expect(resolve).toThrow(expect.objectContaining({ kind: 'usage' }) as Error);
  });

  it('bad environment alone is a matter of configuration', () => {
    expect(() => resolveSettings({}, { WIRE_ISSUER: 'nowhere' }, {})).toThrow(
      expect.objectContaining({ kind: 'config' }) as Error,
    );
  });

  it('no two options share a flag, a variable or a key', () => {
    const all: readonly Option<unknown>[] = Object.keys(options).map(
      (name) => options[name as OptionName] as Option<unknown>,
    );
    for (const name of ['flag', 'environment', 'key'] as const) {
      expect(new Set(all.map((option) => option[name])).size).toBe(all.length);
    }
    for (const { environment } of all) expect(environment).toMatch(/^WIRE_[A-Z_]+$/);
  });
});
