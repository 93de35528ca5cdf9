import { describe, expect, it } from 'vitest';
import {
  isSecretVariable,
  parted,
  takeEnvironment,
} from '../../../src/daemon/private-environment.ts';
import { redactKnown } from '../../../src/lib/secret.ts';

const secret = [
  'BEARER_TOKEN',
  'ACCESS_TOKEN',
  'REFRESH_TOKEN',
  'IAM_CLIENT_SECRET',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'JUPYTERHUB_API_TOKEN',
  'MYTOKEN',
];
const open = [
  'BEARER_TOKEN_FILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'WIRE_TOKEN_SOURCE',
  'WIRE_KEY_FILE',
  'IAM_CLIENT_ID',
  'AWS_ACCESS_KEY_ID',
  'SSH_AUTH_SOCK',
  'PATH',
];

describe('takeEnvironment', () => {
  it('gives everything, and leaves the secrets to no program that is started later', () => {
    const all = Object.fromEntries([...secret, ...open].map((name) => [name, `value-of-${name}`]));
    const environment = { ...all };
    expect(takeEnvironment(environment)).toEqual(all);
    expect(Object.keys(environment).toSorted()).toEqual(open.toSorted());
    const all2 = parted(all);
    expect(Object.keys(all2.secret)).toEqual(secret);
    expect(Object.keys(all2.open)).toEqual(open);
  });

  it('makes the secrets unprintable, a password in the address of a proxy too', () => {
    const environment = {
      ACCESS_TOKEN: 'taken-access-token',
      HTTPS_PROXY: 'http://me:proxy-password@proxy.example:3128',
      HTTP_PROXY: 'http://proxy.example:3128',
    };
    takeEnvironment(environment);
    expect(Object.keys(environment)).toEqual(['HTTP_PROXY']);
    expect(redactKnown('taken-access-token at me:proxy-password@')).toBe(
      '[secret] at me:[secret]@',
    );
  });

  it.each(open)('takes %s for no secret', (name) =>
    expect(isSecretVariable(name, 'a value')).toBe(false),
  );
});

describe('isSecretVariable', () => {
  it.each([
    ['https_proxy', 'me:proxy-password@proxy.example:3128'],
    ['HTTPS_PROXY', 'http://me:proxy@password@proxy.example:3128'],
    ['ALL_PROXY', 'http://me:proxy%40password@proxy.example'],
    ['DATABASE_URL', 'postgres://me:data-password@db.example/x'],
  ])('takes %s=%s for a secret', (name, value) => {
    expect(isSecretVariable(name, value)).toBe(true);
  });

  it.each([
    ['HTTPS_PROXY', 'http://proxy.example:3128'],
    ['https_proxy', 'proxy.example:3128'],
    ['https_proxy', 'me@proxy.example:3128'],
    ['NO_PROXY', 'localhost,10.0.0.0/8,[::1]:443'],
    ['DBUS_SESSION_BUS_ADDRESS', 'unix:path=/run/user/1000/bus'],
    ['SESSION_MANAGER', 'local/host:@/tmp/.ICE-unix/1,unix/host:/tmp/.ICE-unix/1'],
    ['XMODIFIERS', '@im=ibus'],
    ['GIT_REMOTE', 'git@git.example:group/project'],
  ])('takes %s=%s for none', (name, value) => {
    expect(isSecretVariable(name, value)).toBe(false);
  });

  it('makes a password unprintable as it was given and as it is meant', () => {
    takeEnvironment({ https_proxy: 'me:pass%40word%2Fof-proxy@proxy.example:3128' });
    expect(redactKnown('pass%40word%2Fof-proxy')).toBe('[secret]');
    expect(redactKnown('is pass@word/of-proxy it')).toBe('is [secret] it');
  });
});
