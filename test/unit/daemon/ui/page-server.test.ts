import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openElsewhere } from '../../../fixtures/loopback.ts';
import { type Asked, PageBench } from './page-bench.ts';

describe('the page', () => {
  it('is files of the package, for anybody, with nothing of the person in them', async () => {
    await using page = await PageBench.start();
    const html = await page.ask({ path: '/' });
    expect(html).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/html; charset=utf-8' },
    });
    const named = [...html.text.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path);
    expect(named).toContain('/main.js');
    const seen = new Set(named);
    for (const path of seen) {
      const file = await page.ask({ path: path ?? '' });
      expect([path, file.status]).toEqual([path, 200]);
      if (!path?.endsWith('.js')) continue;
      for (const [, name = ''] of file.text.matchAll(/from '\.(\/[\w-]+\.js)'/g)) seen.add(name);
    }
    expect(seen.size).toBeGreaterThan(8);
  });

  it('allows no script but its own, no frame around it and nothing from elsewhere', async () => {
    await using page = await PageBench.start();
    const { headers, text } = await page.ask({ path: '/' });
    const policy = String(headers['content-security-policy']);
    expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    expect(text).not.toMatch(/<script>|<style>| on[a-z]+=| style=|(?:src|href)="(?!\/[a-z.-]*"|#)/);
  });

  it('takes the token of its address once, for a cookie that scripts and other sites never see', async () => {
    await using page = await PageBench.start();
    expect(page.token).toMatch(/^[\w-]{43}$/);
    const answer = await page.enter();
    expect(answer.status).toBe(200);
    expect(answer.headers['set-cookie']).toEqual([
      expect.stringMatching(
        new RegExp(`^wire-ui-${page.port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`),
      ),
    ]);
    const again = await page.post('/session', { token: page.token }, { headers: page.session });
    expect(again.status).toBe(401);
    expect(again.headers).not.toHaveProperty('set-cookie');
    expect(await page.ask({ path: '/profiles' })).toMatchObject({ status: 200 });
  });

  it.each<[string, number, Asked]>([
    ['without cookie and key', 401, { headers: { cookie: '', 'x-wire-key': '' } }],
    [
      'with the cookie alone, which servers of others on this machine get too',
      401,
      {
        headers: { 'x-wire-key': '' },
      },
    ],
    ['with the key alone', 401, { headers: { cookie: '' } }],
    ['with another key', 401, { headers: { 'x-wire-key': 'x'.repeat(43) } }],
    ['with the token in the place of the key', 401, { headers: { 'x-wire-key': 'TOKEN' } }],
    ['under another Host', 403, { headers: { host: 'evil.example' } }],
    ['under a Host that begins alike', 403, { headers: { host: '127.0.0.1.evil.example:1' } }],
    [
      'under a name that was made to point here',
      403,
      { headers: { host: 'evil.example', origin: 'http://evil.example' } },
    ],
    ['under no port', 403, { headers: { host: '127.0.0.1' } }],
    ['from another origin', 403, { headers: { origin: 'https://evil.example' } }],
    ['from another port of this machine', 403, { headers: { origin: 'http://127.0.0.1:1' } }],
    ['from a page of no origin', 403, { headers: { origin: 'null' } }],
    ['without an origin', 403, { headers: { origin: '' } }],
    ['from another site', 403, { headers: { 'sec-fetch-site': 'cross-site' } }],
    [
      'from another port, which browsers call the same site',
      403,
      {
        headers: { 'sec-fetch-site': 'same-site' },
      },
    ],
    ['as a form of any page can', 415, { headers: { 'content-type': 'text/plain' } }],
    ['by PUT', 405, { method: 'PUT' }],
    ['by DELETE', 405, { method: 'DELETE', body: '' }],
    ['by OPTIONS, as a browser asks first', 405, { method: 'OPTIONS', body: '' }],
    ['by GET', 404, { method: 'GET', body: '' }],
    ['for another path', 404, { path: '/unmount/' }],
    ['for a path with a question', 404, { path: '/unmount?x=1' }],
    ['for what every object has', 404, { path: '/constructor' }],
    ['for a file above', 404, { path: '/../package.json' }],
    ['for a file above, escaped', 404, { path: '/%2e%2e/package.json' }],
    ['with what is no JSON', 400, { body: '{"mountPoint":' }],
    ['with a list', 400, { body: '[]' }],
    ['with no text at all', 400, { body: '' }],
    ['with more than a form holds', 413, { body: { mountPoint: 'x'.repeat(20_000) } }],
  ])('does nothing for who asks %s', async (_, status, asked) => {
    await using page = await PageBench.open();
    const headers = { ...asked.headers };
    if (headers['x-wire-key'] === 'TOKEN') headers['x-wire-key'] = page.token;
    const body = { mountPoint: '/m', lazy: false };
    const answer = await page.ask({ method: 'POST', path: '/unmount', body, ...asked, headers });
    expect(answer.status).toBe(status);
    expect(page.host.asked).toEqual([]);
    expect(answer.text).not.toMatch(/wire-ui|"key"|s3:/);
  });

  it.each(['/news', '/profiles', '/unmount', '/login', '/nothing', '/../package.json'])(
    'tells a stranger nothing of %s, nor whether it is there',
    async (path) => {
      await using page = await PageBench.start();
      for (const method of ['GET', 'POST', 'PUT']) {
        expect(await page.ask({ method, path })).toMatchObject({ status: 401 });
      }
    },
  );

  it('may be followed to from anywhere, and nothing else of it asked for from elsewhere', async () => {
    await using page = await PageBench.open();
    const site = { 'sec-fetch-site': 'cross-site' };
    const follow = { ...site, 'sec-fetch-mode': 'navigate' };
    expect(await page.ask({ headers: follow })).toMatchObject({ status: 200 });
    expect(await page.ask({ headers: { ...site, 'sec-fetch-mode': 'no-cors' } })).toMatchObject({
      status: 403,
    });
    for (const path of ['/main.js', '/news', '/profiles']) {
      expect(await page.ask({ path, headers: follow })).toMatchObject({ status: 403 });
    }
  });

  it.each([
    'GET / HTTP/1.1\r\nHost:',
    'POST /session HTTP/1.1\r\nHost: HOST\r\nOrigin: http://HOST\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"token"',
    'nonsense\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: HOST\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
  ])('hangs up on who sends %.20s and no more', async (text) => {
    await using page = await PageBench.start();
    const socket = connect(page.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(text.replaceAll('HOST', `127.0.0.1:${page.port}`));
    let said = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    await once(socket, 'close');
    expect(said).not.toMatch(/^HTTP\/1.1 200/);
    expect(await page.ask()).toMatchObject({ status: 200 });
  });

  it('does not look at what is sent behind a request', async () => {
    await using page = await PageBench.open();
    const { cookie = '', 'x-wire-key': key = '' } = page.session;
    const body = '{"mountPoint":"/m"}';
    const own = `Host: 127.0.0.1:${page.port}\r\nOrigin: ${page.origin}\r\nCookie: ${cookie}\r\nX-Wire-Key: ${key}\r\n`;
    const ask = `POST /unmount HTTP/1.1\r\n${own}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const socket = connect(page.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${page.port}\r\n\r\n${ask}`);
    await once(socket, 'close');
    expect(page.host.asked).toEqual([]);
  });

  it('listens on the loopback address alone', async () => {
    await using page = await PageBench.start();
    expect(await openElsewhere(page.port)).toEqual([]);
  });

  it('shows itself in so many windows and no more', async () => {
    await using page = await PageBench.open();
    for (let window = 0; window < 8; window += 1) await page.watch();
    expect(await page.ask({ path: '/news' })).toMatchObject({ status: 422 });
  });

  it('keeps token, cookie and key out of the log', async () => {
    await using page = await PageBench.open();
    await page.post('/session', { token: page.token });
    await page.post('/unmount', { mountPoint: '/m' });
    await page.ask({ path: '/news', headers: { cookie: '' } });
    const log = page.log.join('\n');
    expect(log).toContain('page opened');
    expect(log).toContain('page refused');
    const [, cookie = ''] = page.session['cookie']?.split('=') ?? [];
    for (const secret of [page.token, cookie, page.session['x-wire-key'] ?? '']) {
      expect(secret).toHaveLength(43);
      expect(log).not.toContain(secret);
    }
  });
});
