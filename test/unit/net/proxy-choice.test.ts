import { describe, expect, it } from 'vitest';
import { type Environment, proxyFor } from '../../../src/net/proxy-choice.ts';
import { targetOf } from '../../../src/net/target.ts';

function chosen(url: string, environment: Environment): string | undefined {
  const proxy = proxyFor(targetOf(url), environment);
  return proxy && `${proxy.secure ? 'https' : 'http'}://${proxy.host}:${proxy.port}`;
}

describe('the proxy', () => {
  it.each([
    [{ HTTPS_PROXY: 'http://proxy:3128' }, 'http://proxy:3128'],
    [{ https_proxy: 'proxy:3128' }, 'http://proxy:3128'],
    [{ https_proxy: 'http://lower:1', HTTPS_PROXY: 'http://upper:2' }, 'http://lower:1'],
    [{ HTTPS_PROXY: 'https://proxy' }, 'https://proxy:443'],
    [{ HTTPS_PROXY: 'http://proxy' }, 'http://proxy:80'],
    [{ HTTPS_PROXY: 'http://[2001:db8::1]:3128' }, 'http://2001:db8::1:3128'],
    [{ ALL_PROXY: 'http://all:3128' }, 'http://all:3128'],
    [{ HTTPS_PROXY: 'http://one:1', ALL_PROXY: 'http://all:3128' }, 'http://one:1'],
    [{ HTTP_PROXY: 'http://plain:3128' }, undefined],
    [{ HTTPS_PROXY: '' }, undefined],
    [{}, undefined],
  ])('of https://s3.example.org with %j is %s', (environment: Environment, expected) => {
    expect(chosen('https://s3.example.org', environment)).toBe(expected);
  });

  it('of HTTP_PROXY is for http:// only', () => {
    const environment = { HTTP_PROXY: 'http://plain:3128', HTTPS_PROXY: 'http://tls:3128' };
    expect(chosen('http://s3.example.org', environment)).toBe('http://plain:3128');
  });

  it.each(['http://localhost:9000', 'https://127.0.0.1', 'https://127.9.9.9:1', 'https://[::1]:9'])(
    'is none for loopback (%s)',
    (url) => {
      const environment = { ALL_PROXY: 'http://all:1', HTTPS_PROXY: 'http://p:1', NO_PROXY: '' };
      expect(chosen(url, environment)).toBeUndefined();
    },
  );

  it.each([
    ['*', true],
    ['example.org', true],
    ['EXAMPLE.org', true],
    ['.example.org', true],
    ['*.example.org', true],
    ['s3.example.org', true],
    ['other.org, s3.example.org', true],
    ['other.org s3.example.org', true],
    ['s3.example.org:443', true],
    ['example.org:443', true],
    ['s3.example.org:8443', false],
    ['3.example.org', false],
    ['ample.org', false],
    ['other.org', false],
    ['s3.example.org.', false],
    ['', false],
    [',', false],
    ['.', false],
    ['10.0.0.0/8', false],
  ])('is left out for s3.example.org by NO_PROXY=%s: %s', (list, expected) => {
    const environment = { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: list };
    expect(chosen('https://s3.example.org', environment) === undefined).toBe(expected);
  });

  it.each([
    ['https://10.1.2.3', '10.0.0.0/8', true],
    ['https://11.1.2.3', '10.0.0.0/8', false],
    ['https://10.1.2.3', '10.1.2.3', true],
    ['https://10.1.2.3', '2.3', false],
    ['https://10.1.2.3', '10.0.0.0/99', false],
    ['https://10.1.2.3', '10.0.0.0/', false],
    ['https://10.1.2.3', '2001:db8::/32', false],
    ['https://[2001:db8::1]:9000', '2001:db8::/32', true],
    ['https://[2001:db8::1]:9000', '[2001:db8::1]:9000', true],
    ['https://[2001:db8::1]:9000', '[2001:db8::1]:9001', false],
  ])('of %s is left out by NO_PROXY=%s: %s', (url, list, expected) => {
    const environment = { HTTPS_PROXY: 'http://proxy:3128', no_proxy: list };
    expect(chosen(url, environment) === undefined).toBe(expected);
  });

  it.each([
    'socks5://me:hunter22@proxy:1080',
    'http://me:hunter22@',
    'http://me:hunter22@proxy:99999',
  ])('that cannot be used (%s) is told without what is in its URL', (value) => {
    const use = (): unknown => chosen('https://s3.example.org', { HTTPS_PROXY: value });
    expect(use).toThrow(/^cannot use the proxy of HTTPS_PROXY/);
    expect(use).not.toThrow(/hunter22|proxy:1080/);
  });

  it('shows its user and password to nobody but the proxy', () => {
    const environment = { HTTPS_PROXY: 'http://me:p%40ss%zz@proxy:3128' };
    const proxy = proxyFor(targetOf('https://s3.example.org'), environment);
    expect(JSON.stringify(proxy)).not.toContain('p@ss');
    const shown = Buffer.from('me:p%40ss%zz').toString('base64');
    expect(proxy?.authorization?.reveal()).toBe(`Basic ${shown}`);
  });
});
