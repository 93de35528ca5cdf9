/** The page of `wire ui` in a real browser, against the playground. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import type { Status } from '../../src/daemon/status.ts';
import { Closers } from '../../src/lib/closers.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { canMount, exists, isRoot, Scene } from '../fixtures/real-mount.ts';

const CHROMIUM = '/usr/bin/chromium';
const canBrowse = haveDebian(['chromium'], [CHROMIUM]);
/** Everything that a page does, one after the other, on a busy machine. */
const LONG_MS = 240_000;
/** For a person who looks at them; nothing is written without it. */
const screenshots = process.env['WIRE_TEST_SCREENSHOTS'];

interface Served {
  readonly url: string;
  readonly port: number;
}

/** `wire ui` of a scene, ended with it. */
class Ui implements AsyncDisposable {
  readonly served: Served;
  readonly child: ChildProcess;
  /** Exit code and signal. */
  readonly ended: Promise<unknown[]>;

  private constructor(served: Served, child: ChildProcess, ended: Promise<unknown[]>) {
    this.served = served;
    this.child = child;
    this.ended = ended;
  }

  static async start(
    scene: Scene,
    more: readonly string[] = ['--no-browser'],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Ui> {
    const [program = '', ...args] = scene.user.commandLine(['ui', '--json', ...more]);
    const child = spawn(program, args, {
      env: { ...process.env, ...scene.user.environment, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    const printed = once(createInterface({ input: child.stdout }), 'line');
    const gone = ended.then(([code]) => {
      throw new Error(`wire ui ended with ${String(code)}`);
    });
    gone.catch(() => undefined); // it ends in any case, at the latest when it is disposed
    const [line] = (await Promise.race([printed, gone])) as [string];
    return new Ui(JSON.parse(line) as Served, child, ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGINT');
    await this.ended;
  }
}

async function statusOf(scene: Scene): Promise<Status> {
  const { stdout } = await scene.user.wire(['status', '--json'], scene.signal);
  return JSON.parse(stdout) as Status;
}

describe.skipIf(!canMount || !canBrowse)('wire ui', () => {
  const closers = new Closers();
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      // Its sandbox needs a user that is not root (chromium(1)).
      args: isRoot ? ['--no-sandbox'] : [],
    });
    closers.defer(async () => await browser.close());
  });
  afterAll(async () => await closers[Symbol.asyncDispose]());

  /** A browser window of its own, and what it complains of. */
  async function openPage(
    url: string,
    options: Parameters<Browser['newContext']>[0] = {},
  ): Promise<{ readonly page: Page; readonly context: BrowserContext; readonly faults: string[] }> {
    const context = await browser.newContext(options);
    closers.defer(async () => await context.close());
    const page = await context.newPage();
    const faults: string[] = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => {
      // A browser tells of every refusal, those that are meant to be there too.
      const isFault = message.type() === 'error' && !message.text().includes('status of 422');
      if (isFault) faults.push(message.text());
    });
    await page.goto(url);
    return { page, context, faults };
  }

  async function look(page: Page, name: string): Promise<void> {
    if (screenshots === undefined) return;
    await mkdir(screenshots, { recursive: true });
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
  }

  /** The page that the link leads to, in which alice logs in and approves. */
  async function approve(page: Page): Promise<void> {
    const [popup] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Open the page' }).click(),
    ]);
    await popup.waitForLoadState();
    for (let step = 0; step < 10; step += 1) {
      if ((await popup.locator('main[data-outcome]').count()) > 0) break;
      const name = popup.locator('input[name=username]');
      if ((await name.count()) > 0) {
        await name.fill('alice');
        await popup.locator('input[name=password]').fill('any');
      }
      const approving = popup.locator('button[value=approve]');
      const press = (await approving.count()) > 0 ? approving : popup.locator('button').first();
      await Promise.all([popup.waitForEvent('load'), press.click()]);
    }
    expect(await popup.locator('main').getAttribute('data-outcome')).toBe('approved');
    await popup.close();
  }

  it('logs in, mounts, shows what a program writes, unmounts and logs out', {
    timeout: LONG_MS,
  }, async () => {
    await using scene = await Scene.open({}, LONG_MS - 10_000);
    const { playground } = scene;
    await using ui = await Ui.start(scene);
    const { page, faults } = await openPage(ui.served.url);
    await page.getByText('No logins.').waitFor();
    expect(page.url()).toBe(`http://127.0.0.1:${ui.served.port}/`);
    await look(page, 'empty');

    await page.getByRole('button', { name: 'Log in…' }).click();
    const login = page.locator('#login-form');
    await login.getByLabel('Identity provider').fill(playground.issuer);
    await login.getByText('More').click();
    await login.getByLabel('Audience').fill(playground.audience);
    await login.getByRole('button', { name: 'Log in' }).click();
    const code = page.locator('#login-code');
    await code.filter({ hasText: /\S{4}/ }).waitFor();
    const shown = await code.textContent();
    await page.getByText(`the page shows ${shown ?? ''}`).waitFor();
    await page.getByText(/\d:\d\d left/).waitFor();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
    await look(page, 'login');
    await approve(page);
    await page.getByText(`Logged in at ${playground.issuer.replace(/\/$/, '')}`).waitFor();
    await page.getByRole('button', { name: /^Log out at/ }).waitFor();
    expect((await statusOf(scene)).logins).toMatchObject([{ who: 'alice' }]);

    // Nonsense is refused as the command refuses it.
    await page.getByRole('button', { name: 'Mount a bucket…' }).click();
    const mount = page.locator('#mount-form');
    await mount.getByLabel('Source').fill('ftp://x');
    const mountPoint = scene.place('bucket');
    await mount.getByLabel('Folder', { exact: true }).fill(mountPoint);
    await mount.getByRole('button', { name: 'Mount' }).click();
    const refused = await scene.user.wire(['mount', 'ftp://x', mountPoint], scene.signal, {
      allow: [2],
    });
    const said = refused.stderr.trim().replace(/^wire: /, '');
    await mount.getByText(said).waitFor();
    await look(page, 'refused');

    await mount.getByLabel('Source').fill(`s3://${playground.bucket}`);
    await mount.getByLabel('S3 endpoint').fill(playground.endpoint);
    await mount.getByLabel('Role').fill(playground.role);
    await mount.getByText('More').click();
    await mount.getByLabel('Audience').fill(playground.audience);
    await mount.getByRole('button', { name: 'Mount' }).click();
    await page.getByText(`Mounted s3://${playground.bucket} at ${mountPoint}`).waitFor();
    const card = page.getByRole('article', { name: mountPoint });
    await card.getByText('ready').waitFor();
    expect(await mountsBelow(scene.user.folder)).toEqual([mountPoint]);

    const bytes = Buffer.alloc(3_000_000, 'wire');
    await writeFile(join(mountPoint, 'file'), bytes);
    await card.getByText('2.9 MiB to the store').waitFor();
    await page.getByText(/to the store .*\(most [\d.]+ [KM]iB\/s\)/).waitFor();
    expect(await readFile(join(mountPoint, 'file'))).toEqual(bytes);
    const line = await page.locator('.chart path.out').getAttribute('d');
    const heights = [...(line ?? '').matchAll(/ ([\d.]+)(?=L|$)/g)].map(([, y]) => y);
    expect(new Set(heights).size).toBeGreaterThan(1);
    await card.getByText('How long things take').click();
    await card.getByRole('row', { name: /^store put/ }).waitFor();

    // Somebody is in it: told, and it stays.
    const held = await open(join(mountPoint, 'file'));
    await card.getByRole('button', { name: 'Unmount' }).click();
    await card.getByText(/in use/).waitFor();
    await look(page, 'in-use');
    await page.emulateMedia({ colorScheme: 'dark' });
    await look(page, 'dark');
    await page.setViewportSize({ width: 400, height: 900 });
    await look(page, 'narrow-dark');
    const width = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
    expect(await page.evaluate<number>(width)).toBeLessThanOrEqual(0);
    await page.emulateMedia({ colorScheme: 'light' });
    await look(page, 'narrow');
    await page.setViewportSize({ width: 1280, height: 800 });
    await held.close();
    // Whoever looks at the mounts of this machine keeps each busy for a moment; a lazy one is not kept.
    const names = ['Unmount', 'Unmount', 'Unmount', 'Take it out of sight now'];
    let tries = 0;
    const leave = async (): Promise<number> => {
      const name = names[tries++ % names.length] ?? '';
      await card
        .getByRole('button', { name })
        .click({ timeout: 5000 })
        .catch(() => undefined);
      return await card.count();
    };
    await expect.poll(leave, { timeout: 90_000, interval: 2000 }).toBe(0);
    await page.getByText(`Unmounted ${mountPoint}`).waitFor();
    expect(await mountsBelow(scene.user.folder)).toEqual([]);

    await page.getByRole('button', { name: /^Log out at/ }).click();
    await look(page, 'log-out');
    await page.locator('#ask-form').getByRole('button', { name: 'Log out' }).click();
    await page.getByText(/^Logged out at/).waitFor();
    await page.getByText('No logins.').waitFor();
    expect((await statusOf(scene)).logins).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('mounts what a profile names, by the keyboard alone, and leaves it there when it ends', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground } = scene;
    const mountPoint = scene.place('data');
    const profile = {
      ...{ issuer: playground.issuer, endpoint: playground.endpoint, role: playground.role },
      audience: playground.audience,
      mounts: { data: { source: `s3://${playground.bucket}`, mountpoint: mountPoint } },
    };
    const config = scene.user.environment['WIRE_CONFIG'] ?? '';
    await writeFile(`${config}.new`, JSON.stringify({ profiles: { lab: profile } }));
    await rename(`${config}.new`, config);
    await using ui = await Ui.start(scene);
    const { page, faults } = await openPage(ui.served.url, { colorScheme: 'dark' });
    const name = 'Mount data of profile lab';
    await page.getByRole('button', { name }).waitFor();
    await look(page, 'offer');
    for (let tabs = 0; tabs < 30; tabs += 1) {
      await page.keyboard.press('Tab');
      if ((await page.locator(':focus').getAttribute('aria-label')) === name) break;
    }
    await page.keyboard.press('Enter');
    await page.getByRole('article', { name: mountPoint }).getByText('ready').waitFor();
    await page.getByRole('button', { name: 'End this page' }).click();
    await page.getByText(/This page has ended/).waitFor();
    expect(await ui.ended).toEqual([0, null]);
    expect(await mountsBelow(scene.user.folder)).toEqual([mountPoint]);
    await scene.user.wire(['unmount', mountPoint], scene.signal);
    expect(faults).toEqual([]);
  });

  it('opens once: another browser has no use of the address, this one comes back without it', async () => {
    await using scene = await Scene.open();
    await using ui = await Ui.start(scene);
    const { page, context } = await openPage(ui.served.url);
    await page.getByText('No logins.').waitFor();
    const second = await openPage(ui.served.url);
    await second.page.getByText(/once, in one browser/).waitFor();
    await page.reload();
    await page.getByText('No logins.').waitFor();
    const tab = await context.newPage();
    await tab.goto(`http://127.0.0.1:${ui.served.port}/`);
    await tab.getByText('No logins.').waitFor();
    // A login that is cancelled on the page asks no more, and one may begin another.
    await page.getByRole('button', { name: 'Log in…' }).click();
    await page.locator('#login-form').getByLabel('Identity provider').fill('nonsense');
    await page.locator('#login-form').getByRole('button', { name: 'Log in' }).click();
    await page
      .locator('#login-form')
      .getByText(/cannot log in at nonsense/)
      .waitFor();
    await page.locator('#login-form').getByLabel('Identity provider').fill(scene.playground.issuer);
    await page.locator('#login-form').getByRole('button', { name: 'Log in' }).click();
    await page.locator('#login-code').filter({ hasText: /\S{4}/ }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('#login-dialog').waitFor({ state: 'hidden' });
    ui.child.kill('SIGINT');
    expect(await ui.ended).toEqual([0, null]);
    await page.getByText(/wire ui does not answer/).waitFor();
  });

  it('gives a browser a private file and not the address, which every user could see in its arguments', async () => {
    await using scene = await Scene.open();
    const bin = scene.place('bin');
    await mkdir(bin);
    const seen = scene.place('seen');
    const script = `#!/bin/sh\nprintf '%s' "$*" > '${seen}.new'\nmv '${seen}.new' '${seen}'\n`;
    await writeFile(join(bin, 'xdg-open'), script, { mode: 0o755 });
    const desktop = { DISPLAY: ':99', PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    const apart = { SSH_CONNECTION: '', SSH_TTY: '', JUPYTERHUB_USER: '', CI: '' };
    await using ui = await Ui.start(scene, [], { ...desktop, ...apart });
    await expect.poll(async () => await exists(seen), { timeout: 20_000 }).toBe(true);
    const argument = await readFile(seen, 'utf8');
    const token = new URL(ui.served.url).hash.slice(1);
    expect(argument).toMatch(/^file:\/\/.*\/ui-\d+\.html$/);
    expect(token).toMatch(/^[\w-]{43}$/);
    const file = new URL(argument);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { page } = await openPage(argument);
    await page.getByText('No logins.').waitFor();
    expect(page.url()).toBe(`http://127.0.0.1:${ui.served.port}/`);
    expect(await exists(file.pathname)).toBe(false);
    const log = await readFile(join(scene.user.folder, 'state', 'wire.log'), 'utf8');
    expect(log).toContain('page opened');
    expect(log).not.toContain(token);
  });
});
