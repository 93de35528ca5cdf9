import { describe, expect, it } from 'vitest';

import type { Settings } from '../../../src/config/options.ts';
import type { IdentityFacts, SourceReport, WhoAmI } from '../../../src/daemon/who-am-i.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeCli } from './fake-cli.ts';

const identity: IdentityFacts = {
  source: 'login',
  place: 'the login at https://iam.example',
  issuer: 'https://iam.example',
  who: 'alice',
  subject: 'sub-1',
  groups: ['dev', 'ops'],
  audiences: ['object'],
  scopes: ['openid', 'profile'],
  accessUntilMs: 3_601_000,
  renewable: true,
  notes: ['something to know'],
};

const sources: readonly SourceReport[] = [
  { name: 'file', state: 'absent', why: 'no --token-file' },
  { name: 'login', state: 'used', why: 'the login at https://iam.example' },
  { name: 'hub', state: 'passed-over', why: 'REFRESH_TOKEN: login comes first' },
];

class WhoAmICli extends FakeCli {
  settings: Settings | undefined;

  constructor(found: WhoAmI) {
    super();
    this.daemon = {
      whoAmI: async (settings) => {
        this.settings = settings;
        return await Promise.resolve(found);
      },
    };
  }
}

describe('wire whoami', () => {
  it('shows who, groups, issuer, audience, scopes, until when, and the source', async () => {
    const { code, stdout, stderr } = await new WhoAmICli({ identity, sources }).run('whoami');
    expect(code).toBe(0);
    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe('alice');
    expect(lines.slice(1).map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual([
      'subject sub-1',
      'groups dev, ops',
      'issuer https://iam.example',
      'audience object',
      'scopes openid profile',
      expect.stringMatching(/^access until .*\d\d:00, renewed by itself$/),
      'source login: the login at https://iam.example',
      'note something to know',
    ]);
  });

  it('with --explain lists the chain in order, the chosen one marked', async () => {
    const { stdout } = await new WhoAmICli({ identity, sources }).run('whoami', '--explain');
    expect(stdout.trimEnd().split('\n').slice(-4)).toEqual([
      'Tokens are looked for in this order:',
      '  file          not there    no --token-file',
      '> login         used         the login at https://iam.example',
      '  hub           passed over  REFRESH_TOKEN: login comes first',
    ]);
  });

  it('with --json gives data, with --explain the chain too', async () => {
    const { stdout } = await new WhoAmICli({ identity, sources }).run('whoami', '--json');
    expect(JSON.parse(stdout)).toEqual({ identity });
    const explained = await new WhoAmICli({ identity, sources }).run(
      'whoami',
      '--json',
      '--explain',
    );
    expect(JSON.parse(explained.stdout)).toEqual({ identity, sources });
  });

  it('explains also when there is nobody, and ends with the code of the reason', async () => {
    const failure = new WireError('login-expired', {
      tried: 'use a login',
      answered: 'nobody is logged in',
      next: 'run: wire login ISSUER',
    });
    const cli = new WhoAmICli({ failure, sources });
    const { code, stdout, stderr } = await cli.run('whoami', '--explain');
    expect(code).toBe(4);
    expect(stdout).toContain('> login');
    expect(stderr).toContain('nobody is logged in; run: wire login ISSUER');
    const json = await cli.run('whoami', '--json');
    expect(json.code).toBe(4);
    expect(JSON.parse(json.stdout)).toEqual({
      failure: { kind: 'login-expired', message: failure.toLine() },
    });
  });

  it('names in tokens cannot steer the terminal', async () => {
    const hostile = { ...identity, who: 'al\u001b[2Jice', groups: ['a\u0007'] };
    const { stdout } = await new WhoAmICli({ identity: hostile, sources }).run('whoami');
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  it('hands on which source is meant, with paths that do not depend on where it runs', async () => {
    const cli = new WhoAmICli({ identity, sources });
    await cli.run('whoami', '--token-file', 'token', '--audience', 'a');
    expect(cli.settings).toMatchObject({
      tokenSource: 'file',
      tokenFile: '/cwd/token',
      audience: 'a',
    });
  });
});
