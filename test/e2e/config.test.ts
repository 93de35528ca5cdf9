import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import { WireUser } from '../../scripts/demo/wire-user.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { canMount, Scene, wireCommand } from '../fixtures/real-mount.ts';

const signal = AbortSignal.timeout(100_000);
const allow = Object.values(exitCodeOf);

/** Nobody who has logged in anywhere; the configuration is in a folder of its own. */
class Person implements AsyncDisposable {
  readonly user: WireUser;
  readonly path: string;

  private constructor(user: WireUser) {
    this.user = user;
    this.path = join(user.folder, 'etc', 'config.yaml');
  }

  static async create(): Promise<Person> {
    return new Person(await WireUser.create(wireCommand));
  }

  /** `environment`: on top of the usual one. */
  async wire(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Finished> {
    const [program = '', ...rest] = this.user.commandLine(args);
    const env = { ...this.user.environment, WIRE_CONFIG: this.path, ...environment };
    return await run(program, rest, signal, { allow, env });
  }

  async text(): Promise<string> {
    return await readFile(this.path, 'utf8');
  }

  /** An editor that runs `script` with the file as $1. */
  async editor(script: string): Promise<string> {
    const path = join(this.user.folder, 'an editor');
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    return `'${path}'`;
  }

  async files(): Promise<readonly string[]> {
    return (await readdir(join(this.user.folder, 'etc'))).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.user[Symbol.asyncDispose]();
  }
}

describe('wire config', () => {
  it('begins a file that is its owner’s alone and has nothing wrong, and never another', async () => {
    await using person = await Person.create();
    const made = await person.wire(['config', 'init', '--issuer', 'https://iam.example.org']);
    expect(made).toMatchObject({ exitCode: 0, stdout: `Wrote ${person.path}\n` });
    expect((await stat(person.path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(person.user.folder, 'etc'))).mode & 0o777).toBe(0o700);
    expect(await person.wire(['config', 'check'])).toMatchObject({ exitCode: 0 });
    const shown = await person.wire(['config', 'show', '--json']);
    expect(JSON.parse(shown.stdout)).toMatchObject({
      settings: { issuer: { value: 'https://iam.example.org', origin: 'profile' } },
    });
    const before = await person.text();
    const again = await person.wire(['config', 'init']);
    expect(again.exitCode).toBe(exitCodeOf.exists);
    expect(again.stderr).toMatch(/it is there already; change it with: wire config edit/);
    expect(await person.text()).toBe(before);
  });

  it('shows each value with the flag, the variable, the line or the default that says it', async () => {
    await using person = await Person.create();
    await person.wire(['config', 'init']);
    await writeFile(
      person.path,
      'profiles:\n  lab:\n    endpoint: https://s3.example\n    region: there\n    list-ttl: 10s\n',
    );
    const words = ['config', 'show', '--region', 'here'];
    const variables = { WIRE_ROLE: 'reader', BEARER_TOKEN: 'very-secret-token' };
    const { stdout } = await person.wire(words, variables);
    const row = (name: string): string =>
      stdout.split('\n').find((line) => line.startsWith(`  ${name} `)) ?? '';
    expect(row('endpoint')).toMatch(new RegExp(`https://s3.example +${person.path}:3$`));
    expect(row('region')).toMatch(/ here +--region$/);
    expect(row('role')).toMatch(/ reader +WIRE_ROLE$/);
    expect(row('list-ttl')).toMatch(/ 10s +.*:5$/);
    expect(row('cache-size')).toMatch(/ 10G +default$/);
    expect(row('configuration')).toMatch(/WIRE_CONFIG$/);
    expect(stdout).not.toContain('very-secret-token');
    const json = await person.wire([...words, '--json'], variables);
    expect(JSON.parse(json.stdout)).toMatchObject({
      file: person.path,
      found: true,
      profile: 'lab',
      settings: {
        endpoint: { value: 'https://s3.example', origin: 'profile', line: 3 },
        'list-ttl': { value: 10_000, text: '10s', line: 5 },
        role: { origin: 'environment', said: 'WIRE_ROLE' },
      },
    });
    // Also where somebody has put it.
    const misplaced = { ...variables, WIRE_SESSION_NAME: 'very-secret-token' };
    expect((await person.wire(words, misplaced)).stdout).not.toContain('very-secret-token');
  });

  it('tells all faults at once, by line and key, with the exit code of a bad configuration', async () => {
    await using person = await Person.create();
    await person.wire(['config', 'init']);
    await writeFile(
      person.path,
      'profiles:\n  lab:\n    endpoint: s3\n    cach: full\n    sse: x\n',
    );
    const { exitCode, stdout, stderr } = await person.wire(['config', 'check'], {
      WIRE_LIST_TTL: 'soon',
      WIRE_ENDPIONT: 'https://s3.example',
    });
    expect(exitCode).toBe(exitCodeOf.config);
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(`^${person.path}:3: profiles.lab.endpoint `),
      `${person.path}:4: profiles.lab.cach is not known here: is cache meant?`,
      expect.stringMatching(`^${person.path}:5: profiles.lab.sse `),
      expect.stringMatching('^WIRE_LIST_TTL '),
      'WIRE_ENDPIONT is no variable of wire: is WIRE_ENDPOINT meant?',
    ]);
    expect(stderr).toContain('5 things are wrong');
    const json = await person.wire(['config', 'check', '--json']);
    expect(json.exitCode).toBe(exitCodeOf.config);
    expect(JSON.parse(json.stdout)).toMatchObject({
      faults: [
        { line: 3, key: 'profiles.lab.endpoint' },
        { line: 4, key: 'profiles.lab.cach' },
        { line: 5, key: 'profiles.lab.sse' },
      ],
    });
  });

  it('replaces the file by an edit that can be used, in one step and with its permissions', async () => {
    await using person = await Person.create();
    await person.wire(['config', 'init', '--endpoint', 'https://old.example']);
    await chmod(person.path, 0o640);
    const linked = join(person.user.folder, 'link.yaml');
    await symlink(person.path, linked);
    const EDITOR = await person.editor(`sed -i s/old.example/new.example/ "$1"`);
    const saved = await person.wire(['config', 'edit'], { EDITOR, WIRE_CONFIG: linked });
    expect(saved).toMatchObject({ exitCode: 0, stdout: `Saved ${linked}\n` });
    expect(await person.text()).toContain('endpoint: https://new.example');
    expect((await stat(person.path)).mode & 0o777).toBe(0o640);
    expect(await person.files()).toEqual(['config.yaml']);
    const beside = await readdir(person.user.folder);
    expect(beside.filter((name) => name.includes('.edit-'))).toEqual([]);
  });

  it('keeps a faulty edit beside the file, names it, and goes on with it', async () => {
    await using person = await Person.create();
    await person.wire(['config', 'init', '--endpoint', 'https://old.example']);
    const before = await person.text();
    const VISUAL = await person.editor(`sed -i s,https://old.example,nowhere, "$1"`);
    const refused = await person.wire(['config', 'edit'], { VISUAL, EDITOR: 'false' });
    expect(refused.exitCode).toBe(exitCodeOf.config);
    expect(refused.stderr).toMatch(/config\.edit-\w{8}\.yaml:\d+: profiles\.default\.endpoint /);
    expect(await person.text()).toBe(before);
    const [, kept = ''] = /wire config edit '(.*)'/.exec(refused.stderr) ?? [];
    expect(await readFile(kept, 'utf8')).toContain('endpoint: nowhere');
    expect((await stat(kept)).mode & 0o777).toBe(0o600);
    const untouched = await person.wire(['config', 'edit', kept], { EDITOR: 'true' });
    expect(untouched.stderr).toContain(`wire config edit '${kept}'`);
    const EDITOR = await person.editor(`sed -i s,nowhere,https://new.example, "$1"`);
    expect(await person.wire(['config', 'edit', kept], { EDITOR })).toMatchObject({ exitCode: 0 });
    expect(await person.text()).toContain('endpoint: https://new.example');
    expect(await person.files()).toEqual(['config.yaml']);
  });

  it.each([
    ['changes nothing', 'true', 0, 'Nothing was changed'],
    ['fails', 'exit 3', exitCodeOf.config, 'it ended with 3'],
    ['is not there', '', exitCodeOf.config, 'there is no such program'],
  ])('leaves the file and no copy when the editor %s', async (_, script, exitCode, said) => {
    await using person = await Person.create();
    await person.wire(['config', 'init']);
    const before = await person.text();
    const EDITOR = script === '' ? '/nowhere/editor' : await person.editor(script);
    const ended = await person.wire(['config', 'edit'], { EDITOR });
    expect(ended).toMatchObject({ exitCode });
    expect(ended.stdout + ended.stderr).toContain(said);
    expect(await person.text()).toBe(before);
    expect(await person.files()).toEqual(['config.yaml']);
  });

  it('does not undo what somebody else has written meanwhile', async () => {
    await using person = await Person.create();
    await person.wire(['config', 'init']);
    const EDITOR = await person.editor(
      `echo '# mine' >> "$1"; echo '# theirs' >> '${person.path}'`,
    );
    const ended = await person.wire(['config', 'edit'], { EDITOR });
    expect(ended.exitCode).toBe(exitCodeOf['precondition-failed']);
    expect((await person.text()).trimEnd()).toMatch(/# theirs$/);
    expect(await person.files()).toHaveLength(2);
  });

  it('gives the editor no secret of its environment', async () => {
    await using person = await Person.create();
    const seen = join(person.user.folder, 'seen');
    const EDITOR = await person.editor(`env > '${seen}'`);
    await person.wire(['config', 'edit'], { EDITOR, REFRESH_TOKEN: 'very-secret', LANG: 'C' });
    const environment = await readFile(seen, 'utf8');
    expect(environment).toContain('LANG=C');
    expect(environment).not.toContain('very-secret');
  });
});

describe('wire profile', () => {
  it('lists the profiles, marks the one that is used, and shows what one says', async () => {
    await using person = await Person.create();
    await person.wire(['config', 'init']);
    await writeFile(
      person.path,
      'profiles:\n  default: { endpoint: https://a.example }\n  lab:\n    endpoint: https://b.example\n' +
        '    mounts:\n      data: { source: s3://data/2024, mountpoint: ~/data, read-only: true }\n',
    );
    const list = await person.wire(['profile', 'list']);
    expect(list.stdout.split('\n')[0]).toMatch(/^\* default +https:\/\/a\.example +0 mounts$/);
    expect(list.stdout.split('\n')[1]).toMatch(/^ {2}lab +https:\/\/b\.example +1 mount$/);
    expect((await person.wire(['profile', 'list', '--names'])).stdout).toBe('default\nlab\n');
    const chosen = await person.wire(['profile', 'list', '--json'], { WIRE_PROFILE: 'lab' });
    expect(JSON.parse(chosen.stdout)).toMatchObject({
      profiles: [
        { name: 'default', used: false },
        { name: 'lab', used: true, mounts: [{ source: 's3://data/2024/', readOnly: true }] },
      ],
    });
    const { stdout } = await person.wire(['profile', 'show', 'lab']);
    expect(stdout).toMatch(/endpoint +https:\/\/b\.example +.*config\.yaml:4\n/);
    expect(stdout).toContain('data: s3://data/2024/ at ');
    const absent = await person.wire(['profile', 'show', 'other']);
    expect(absent.exitCode).toBe(exitCodeOf.config);
    expect(absent.stderr).toContain('has only default, lab');
  });
});

describe.skipIf(!canMount)('an address as SOURCE', () => {
  it('mounts the bucket at the endpoint that it names', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { endpoint, bucket, audience, role } = scene.playground;
    const mountPoint = scene.place('mnt');
    const source = `${endpoint}/${bucket}/a%20prefix`;
    const words = ['mount', source, mountPoint, '--audience', audience, '--role', role];
    const { stdout } = await scene.user.wire([...words, '--mkdir', '--daemon'], scene.signal);
    expect(stdout).toContain(`Mounted s3://${bucket}/a prefix/ at ${mountPoint}`);
    await writeFile(join(mountPoint, 'x'), 'hello');
    expect(await readFile(join(mountPoint, 'x'), 'utf8')).toBe('hello');
    await scene.user.wire(['unmount', mountPoint], scene.signal);
    const contradicted = [...words, '--endpoint', 'https://s3.example.org'];
    const refused = await scene.user.wire(contradicted, scene.signal, { allow });
    expect(refused.exitCode).toBe(exitCodeOf.usage);
    expect(refused.stderr).toContain('--endpoint says another store: https://s3.example.org');
  });
});
