import { describe, expect, it } from 'vitest';

import type { PrintedToken, TokenRequest } from '../../../src/daemon/printed-token.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeCli } from './fake-cli.ts';

const printed: PrintedToken = {
  token: new Secret('the-access-token'),
  expiresAtMs: 3_601_000,
  issuer: 'https://iam.example',
  source: 'login',
  place: 'the login at https://iam.example',
  notes: [],
};

class TokenCli extends FakeCli {
  request: TokenRequest | undefined;

  constructor(answer: PrintedToken = printed) {
    super();
    this.daemon = {
      token: async (request) => {
        this.request = request;
        return await Promise.resolve(answer);
      },
    };
  }
}

describe('wire token', () => {
  it('prints the access token alone', async () => {
    const run = await new TokenCli().run('token');
    expect(run).toEqual({ code: 0, stdout: 'the-access-token\n', stderr: '' });
  });

  it('warns a person who sees it, beside the token', async () => {
    const cli = new TokenCli();
    cli.isTTY = true;
    const { stdout, stderr } = await cli.run('token');
    expect(stdout).toBe('the-access-token\n');
    expect(stderr).toContain('whoever sees this is you until');
    expect(stderr).not.toContain('the-access-token');
  });

  it('with --json tells its end too', async () => {
    const { stdout } = await new TokenCli().run('token', '--json');
    expect(JSON.parse(stdout)).toEqual({
      access_token: 'the-access-token',
      token_type: 'Bearer',
      expires_at: '1970-01-01T01:00:01.000Z',
      issuer: 'https://iam.example',
      source: 'login',
    });
  });

  it('asks for audience, scopes and life as told', async () => {
    const cli = new TokenCli();
    const flags = ['--audience', 'a', '--scope', 'openid', 'b', '--min-life', '20m'];
    await cli.run('token', ...flags, '--issuer', 'https://iam.example');
    expect(cli.request).toMatchObject({
      settings: { audience: 'a', issuer: 'https://iam.example' },
      scopes: ['openid', 'b'],
      minLifeMs: 1_200_000,
    });
  });

  it("asks for all that was granted when no scope is typed: a login's scopes are not its own", async () => {
    const cli = new TokenCli();
    cli.environment = { WIRE_SCOPES: 'openid offline_access' };
    await cli.run('token');
    expect(cli.request).not.toHaveProperty('scopes');
    expect(cli.request?.minLifeMs).toBe(60_000);
  });

  it('says what is worth knowing on stderr', async () => {
    const notes = ['the access token is for no audience'];
    const { stdout, stderr } = await new TokenCli({ ...printed, notes }).run('token');
    expect(stdout).toBe('the-access-token\n');
    expect(stderr).toBe('note: the access token is for no audience\n');
  });

  it('ends with the code of the reason and an empty stdout', async () => {
    const cli = new FakeCli();
    const refusal = new WireError('identity-refused', { tried: 'get a token', answered: 'no' });
    cli.daemon = { token: async () => await Promise.reject(refusal) };
    expect(await cli.run('token')).toMatchObject({ code: 7, stdout: '' });
    expect(await cli.run('token', '--min-life', 'soon')).toMatchObject({ code: 2, stdout: '' });
  });
});
