import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { approveInBrowser } from '../../src/demo/iam/browser.ts';
import { haveDebian } from '../fixtures/debian-packages.ts';
import { Scene, wireCommand } from '../fixtures/real-mount.ts';

const PACKAGES = ['gnome-keyring', 'dbus-daemon'];
const PROGRAMS = ['/usr/bin/gnome-keyring-daemon', '/usr/bin/dbus-run-session'];

/** What is done to the keyring at the beginning of a session. */
type Keyring = 'unlocked' | 'locked' | 'asking for ever' | 'none';

const prepare: Readonly<Record<Exclude<Keyring, 'none'>, string>> = {
  unlocked: 'printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1',
  locked: 'gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1',
  'asking for ever': 'gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1',
};

/** alice at a desktop of her own: each command is a session with its own D-Bus. */
class Desktop {
  readonly #scene: Scene;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  get #environment(): Readonly<Record<string, string | undefined>> {
    const { folder, environment } = this.#scene.user;
    return {
      ...environment,
      WIRE_KEY_FILE: '',
      XDG_DATA_HOME: join(folder, 'data'),
      XDG_RUNTIME_DIR: join(folder, 'runtime'),
      DBUS_SESSION_BUS_ADDRESS: undefined,
      DISPLAY: undefined,
      WAYLAND_DISPLAY: undefined,
    };
  }

  /** Runs `wire ...args` to its end, whatever its exit code; a login is approved. */
  async wire(
    keyring: Keyring,
    args: readonly string[],
    onLine: (line: string) => void = () => undefined,
  ): Promise<Finished> {
    const { signal, user } = this.#scene;
    for (const name of ['data', 'runtime']) {
      await mkdir(join(user.folder, name), { recursive: true, mode: 0o700 });
    }
    const command = [process.execPath, wireCommand, ...args];
    const [program = '', ...rest] =
      keyring === 'none' ? command : await this.#session(keyring, command);
    let approving: Promise<void> | undefined;
    const finished = await run(program, rest, signal, {
      env: this.#environment,
      allow: [4, 6],
      onStderr: (line) => {
        onLine(line);
        const url = /https?:\/\/\S+user_code=(\S+)/.exec(line);
        if (url?.[1] === undefined || approving !== undefined) return;
        const code = decodeURIComponent(url[1]);
        approving = approveInBrowser(url[0], code, 'alice', undefined, signal);
        approving.catch(() => undefined);
      },
    });
    await approving;
    return finished;
  }

  async login(keyring: Keyring, ...more: readonly string[]): Promise<Finished> {
    return await this.wire(keyring, [
      'login',
      this.#scene.playground.issuer,
      '--no-browser',
      ...more,
    ]);
  }

  async #session(keyring: Exclude<Keyring, 'none'>, command: readonly string[]): Promise<string[]> {
    const config = join(this.#scene.user.folder, 'session.conf');
    await this.#configure(config, keyring === 'asking for ever');
    const begin = `${prepare[keyring]}; exec "$@"`;
    return [
      'dbus-run-session',
      `--config-file=${config}`,
      '--',
      'sh',
      '-c',
      begin,
      'sh',
      ...command,
    ];
  }

  /** With `prompter`, one that is asked for the password of the keyring and never answers. */
  async #configure(config: string, prompter: boolean): Promise<void> {
    const services = join(this.#scene.user.folder, 'services');
    await mkdir(services, { recursive: true });
    const name = 'org.gnome.keyring.SystemPrompter';
    const service = `[D-BUS Service]\nName=${name}\nExec=${prompter ? '/bin/sleep 40' : '/bin/false'}\n`;
    await writeFile(join(services, `${name}.service`), service);
    await writeFile(
      config,
      `<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
        <servicedir>${services}</servicedir>
        <policy context="default"><allow send_destination="*" eavesdrop="true"/>
        <allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
    );
  }
}

const about = `gnome-keyring (Debian: apt-get install ${PACKAGES.join(' ')})`;

describe.skipIf(!haveDebian(PACKAGES, PROGRAMS))(`the key of the vault in ${about}`, () => {
  it('is kept there by a login, and found there by the commands of a later session', async () => {
    await using scene = await Scene.open();
    const desktop = new Desktop(scene);
    const login = await desktop.login('unlocked');
    expect(login.stderr).toContain('its key in the keychain');
    const state = join(scene.user.folder, 'state');
    expect(await readdir(state)).not.toContain('vault.key');
    const status = await desktop.wire('unlocked', ['status']);
    expect(status.stdout).toContain(scene.playground.issuer.replace(/\/$/, ''));
    const logout = await desktop.wire('unlocked', ['logout', '--forget']);
    expect(logout.exitCode).toBe(0);
  });

  it('is waited for no longer than 15 s where a locked keyring asks and nobody answers', async () => {
    await using scene = await Scene.open();
    const desktop = new Desktop(scene);
    await desktop.login('unlocked');
    const begin = performance.now();
    let toldMs = 0;
    const { exitCode, stderr } = await desktop.wire('asking for ever', ['whoami'], (line) => {
      if (line.startsWith('wire:')) toldMs = performance.now() - begin;
    });
    expect(stderr).toMatch(
      /key of .*logins\.sealed from the keychain: no answer within 15 s; unlock/,
    );
    expect(exitCode).toBe(6);
    expect(toldMs).toBeGreaterThan(14_000);
    expect(toldMs).toBeLessThan(22_000);
  });

  it.each(['locked', 'none'] as const)(
    'is missed in one line, and at once, where the keyring is %s',
    async (keyring) => {
      await using scene = await Scene.open();
      const desktop = new Desktop(scene);
      await desktop.login('unlocked');
      const begin = performance.now();
      const { exitCode, stderr } = await desktop.wire(keyring, ['whoami']);
      expect(performance.now() - begin).toBeLessThan(10_000);
      expect(exitCode).toBe(6);
      expect(
        stderr
          .trim()
          .split('\n')
          .filter((line) => line.startsWith('wire:')),
      ).toHaveLength(1);
      expect(stderr).toMatch(/key of .*logins\.sealed from the keychain: .*; unlock it/);
      expect((await desktop.wire('unlocked', ['status'])).stdout).toContain('alice');
    },
  );
});

describe('a login where there is no keychain', () => {
  it('says where the key went instead, or names all that was tried in one line', async () => {
    await using scene = await Scene.open();
    const desktop = new Desktop(scene);
    const { exitCode, stderr } = await desktop.login('none');
    if (exitCode === 0) {
      expect(stderr).toMatch(/its key in (systemd-creds|the kernel keyring)/);
    } else {
      expect(stderr).toMatch(/keychain: .*; systemd-creds: .*; kernel-keyring: /);
      expect(stderr).toContain('--insecure-storage');
    }
  });

  it('leaves a vault that only its owner may read, and nothing of its content in sight', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const state = join(scene.user.folder, 'state');
    expect((await stat(state)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(state)) {
      expect((await stat(join(state, name))).mode & 0o777).toBe(0o600);
    }
    const vault = join(state, 'logins.sealed');
    expect(await readFile(vault, 'latin1')).not.toMatch(/eyJ|alice|127\.0\.0\.1/);
    await chmod(vault, 0o644);
    const { signal } = scene;
    const refused = await scene.user.wire(['whoami'], signal, { allow: [6] });
    expect(refused.stderr).toContain('others may use it');
    const shown = await scene.user.wire(['status'], signal);
    expect(shown.stdout).toContain('others may use it');
    await chmod(vault, 0o600);
  });
});
