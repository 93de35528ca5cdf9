import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Finished, run } from '../../scripts/demo/programs.ts';
import type { Playground, PlaygroundOptions } from '../../src/demo/playground.ts';
import { Closers } from '../../src/lib/closers.ts';
import { filesBelow, findLeaks, ProcessWatch, type Trace } from '../fixtures/leak-search.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

/** Of ours, not of the playground's: given by files and environment, refused by every server. */
const OWN = {
  clientSecret: 'our-own-client-secret-0815',
  bearer: 'our-own-bearer-token-4711.not.a.jwt',
  password: 'our-own-proxy-password',
};

/** What a server can do to a person whose secret it was sent: say it back, in every way. */
function echoed(value: string): string {
  const base64 = Buffer.from(`client:${value}`).toString('base64');
  return `token ${value} (${encodeURIComponent(value)}, Basic ${base64}, ${JSON.stringify({ v: value })}) was not found`;
}

/** An STS that refuses everybody with the whole of what it was sent. */
async function echoingSts(): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const said = echoed(form.get('WebIdentityToken') ?? '').replaceAll('&', '&amp;');
      response.writeHead(403, { 'content-type': 'text/xml' });
      response.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>${said.replaceAll('<', '')}</Message></Error></ErrorResponse>`,
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** A person at work, and all that can be seen of it. */
class Session {
  readonly scene: Scene;
  readonly traces: Trace[] = [];
  /** What commands printed whose purpose is a secret. */
  readonly printed: string[] = [];
  readonly ran = new Set<string>();
  readonly stsUrl: string;
  readonly isStandard: boolean;

  constructor(scene: Scene, stsUrl: string, isStandard: boolean) {
    this.scene = scene;
    this.stsUrl = stsUrl;
    this.isStandard = isStandard;
  }

  get playground(): Playground {
    return this.scene.playground;
  }

  /** Runs `wire ...args` at trace level to its end, whatever its exit code. */
  async wire(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    onStderr: (line: string) => void = () => undefined,
  ): Promise<Finished> {
    const { user, signal } = this.scene;
    // The events of --json are read as they come, like what is said to people.
    const inOne = args.includes('--json') ? ['sh', '-c', 'exec "$@" 1>&2', 'sh'] : [];
    const command = user.commandLine([...args, '--log-level', 'trace']);
    const [program = '', ...rest] = args[0] === 'login' ? [...inOne, ...command] : command;
    const finished = await run(program, rest, signal, {
      env: { ...user.environment, TMPDIR: join(user.folder, 'tmp'), ...environment },
      allow: Array.from({ length: 255 }, (_, code) => code + 1),
      onStderr,
    });
    const name = `wire ${args.join(' ')}`.replaceAll(/https?:\S+/g, 'URL');
    this.ran.add(args[0] ?? '');
    this.traces.push({ place: `stderr of ${name}`, text: finished.stderr });
    const isPrinter = ['token', 'credentials', 'env'].includes(args[0] ?? '');
    if (isPrinter) this.printed.push(finished.stdout);
    else this.traces.push({ place: `stdout of ${name}`, text: finished.stdout });
    return finished;
  }

  /** A device login, decided upon by somebody at a browser. */
  async login(verdict: 'approve' | 'deny', ...more: readonly string[]): Promise<Finished> {
    const { issuer, audience, iam } = this.playground;
    let deciding: Promise<void> | undefined;
    const args = ['login', issuer, '--no-browser', '--audience', audience, ...more];
    const decide = (text: string): void => {
      const url = /https?:\/\/[^\s"]+user_code=[^\s"]+/.exec(text)?.[0];
      if (url === undefined || deciding !== undefined) return;
      deciding = iam[verdict](url, 'alice', this.scene.signal);
      deciding.catch(() => undefined);
    };
    const finished = await this.wire(args, {}, decide);
    await deciding;
    return finished;
  }

  get secrets(): readonly { readonly kind: string; readonly value: string }[] {
    const { iam, keys, root } = this.playground;
    return [
      ...iam.issuedSecrets(),
      ...keys.issued.flatMap(({ secretAccessKey, sessionToken }) => [
        { kind: 'S3 secret key', value: secretAccessKey },
        { kind: 'S3 session token', value: sessionToken },
      ]),
      { kind: 'root key', value: root.secretAccessKey },
      ...Object.entries(OWN).map(([kind, value]) => ({ kind, value })),
    ];
  }
}

async function logInBadly(session: Session): Promise<void> {
  const { scene } = session;
  const secretFile = join(scene.user.folder, 'given-secret');
  await writeFile(secretFile, `${OWN.clientSecret}\n`, { mode: 0o600 });
  const badClient = ['--client-id', 'nobody-knows-me', '--client-secret-file', secretFile];
  expect((await session.login('approve', ...badClient)).exitCode).not.toBe(0);
  // A denial is reported by the standard dialect only.
  if (session.isStandard) expect((await session.login('deny')).exitCode).toBe(3);
  const login = await session.login('approve', '--public', '--log-file', '-');
  expect(login.exitCode).toBe(0);
}

async function mountAndWork(session: Session): Promise<void> {
  const { scene, playground } = session;
  const mountPoint = scene.place('bucket');
  const source = `s3://${playground.bucket}`;
  const mount = ['mount', source, mountPoint, ...scene.store, '--mkdir', '--daemon'];
  expect((await session.wire(mount)).exitCode).toBe(0);
  await writeFile(join(mountPoint, 'x'), 'y');
  playground.sts.expireAll();
  await writeFile(join(mountPoint, 'z'), 'y');
  await rename(join(mountPoint, 'z'), join(mountPoint, 'renamed'));
  expect(await readFile(join(mountPoint, 'renamed'), 'utf8')).toBe('y');
  for (const args of [['status'], ['status', '--json'], ['mount', source, mountPoint]]) {
    await session.wire(args);
  }
  expect((await session.wire(['unmount', mountPoint])).exitCode).toBe(0);
}

async function ask(session: Session): Promise<void> {
  const { scene, playground } = session;
  const reach = ['--issuer', playground.issuer];
  for (const args of [['whoami'], ['whoami', '--explain'], ['whoami', '--json']]) {
    await session.wire(args);
  }
  await session.wire(['doctor', `s3://${playground.bucket}`, ...scene.store, ...reach]);
  await session.wire(['logs', '--lines', '100000']);
  const audience = ['--audience', playground.audience];
  expect((await session.wire(['token', ...reach, ...audience])).exitCode).toBe(0);
  expect((await session.wire(['token', '--json', ...reach, ...audience])).exitCode).toBe(0);
  expect((await session.wire(['credentials', ...scene.store])).exitCode).toBe(0);
  expect((await session.wire(['env', ...scene.store])).exitCode).toBe(0);
}

/** Every refusal that could quote what it refuses. */
async function beRefused(session: Session): Promise<void> {
  const { scene, playground, stsUrl } = session;
  const { iam } = playground;
  const values = (kind: string): string[] =>
    iam.issuedSecrets().flatMap((secret) => (secret.kind === kind ? [secret.value] : []));
  const quote = values('refresh_token').map(echoed).join('; ');
  const echo = { error: 'server_error', error_description: quote };
  iam.addFault({ endpoint: 'token', status: 500, body: echo, times: 3 });
  await session.wire(['token', '--min-life', '2h', '--audience', playground.audience]);
  iam.clearFaults();
  iam.addFault({ endpoint: 'token', status: 400, body: `<html>${quote}</html>`, times: 3 });
  await session.wire(['token', '--min-life', '2h', '--audience', 'another']);
  iam.clearFaults();
  const sts = ['--sts-endpoint', stsUrl, ...scene.store];
  expect((await session.wire(['credentials', ...sts])).exitCode).not.toBe(0);
  const mount = ['mount', `s3://${playground.bucket}`, scene.place('never'), '--mkdir', ...sts];
  expect((await session.wire(mount)).exitCode).not.toBe(0);
  expect((await session.wire([...mount, '--daemon', '--log-file', '-'])).exitCode).not.toBe(0);
  const junk = join(scene.user.folder, 'junk.pem');
  await writeFile(junk, 'no certificate');
  await session.wire(['token', '--min-life', '2h', '--ca', junk]);
  const gone = { error: 'invalid_grant', error_description: quote };
  iam.addFault({ endpoint: 'token', status: 400, body: gone, times: 5 });
  await session.wire(['token', '--min-life', '2h', '--audience', 'a-third']);
  iam.clearFaults();
}

/** Tokens of the environment, right and wrong. */
async function bringTokens(session: Session): Promise<void> {
  const { scene, playground } = session;
  const access = playground.iam
    .issuedSecrets()
    .findLast(({ kind }) => kind === 'access_token')?.value;
  const given = {
    BEARER_TOKEN: access ?? '',
    HTTPS_PROXY: `http://me:${OWN.password}@127.0.0.1:9`,
  };
  const mountPoint = scene.place('by-environment');
  const source = `s3://${playground.bucket}`;
  const mount = ['mount', source, mountPoint, ...scene.store, '--mkdir', '--daemon'];
  const mounted = await session.wire([...mount, '--token-source', 'wlcg'], given);
  if (mounted.exitCode === 0) {
    await writeFile(join(mountPoint, 'w'), 'y');
    await session.wire(['unmount', mountPoint]);
  }
  for (const name of ['BEARER_TOKEN', 'ACCESS_TOKEN', 'REFRESH_TOKEN']) {
    const wrong = { [name]: OWN.bearer, IAM_SERVER: playground.issuer };
    await session.wire(['whoami', '--explain'], wrong);
    await session.wire(['credentials', ...scene.store], wrong);
  }
}

async function leave(session: Session): Promise<void> {
  const { iam } = session.playground;
  const quote = echoed(
    iam.issuedSecrets().findLast(({ kind }) => kind === 'refresh_token')?.value ?? '',
  );
  const echo = { error: 'invalid_request', error_description: quote };
  iam.addFault({ endpoint: 'revocation', status: 400, body: echo });
  await session.wire(['logout']);
  await session.wire(['logout', '--forget']);
}

const dialects: readonly PlaygroundOptions[] = [
  { iamDialect: 'indigo', storeDialect: 'minio' },
  { iamDialect: 'standard', storeDialect: 'aws' },
];

const daily = ['login', 'logout', 'mount', 'unmount', 'status', 'whoami', 'token', 'env'];
const refused = ['login', 'logout', 'mount', 'whoami', 'token', 'credentials'];

async function workADay(session: Session): Promise<void> {
  expect((await session.login('approve')).exitCode).toBe(0);
  expect((await session.login('approve', '--json')).exitCode).toBe(0);
  await mountAndWork(session);
  await ask(session);
  await session.wire(['logout']);
  await session.wire(['logout', '--forget']);
}

async function beRefusedAll(session: Session): Promise<void> {
  await logInBadly(session);
  await bringTokens(session);
  await beRefused(session);
  await leave(session);
}

describe.skipIf(!canMount)('a whole session at the most talkative log level', () => {
  const cases = dialects.flatMap((options) => [
    { ...options, course: 'at work', work: workADay, commands: daily },
    { ...options, course: 'when all is refused', work: beRefusedAll, commands: refused },
  ]);

  it.each(cases)(
    'shows no secret in output, log, argv, environment, or any file $course ($iamDialect, $storeDialect)',
    async ({ work, commands, ...options }) => {
      await using scene = await Scene.open(options);
      const { url, server } = await echoingSts();
      await using closers = new Closers();
      closers.defer(async () => await closed(server));
      await mkdir(join(scene.user.folder, 'tmp'));
      const session = new Session(scene, url, options.iamDialect === 'standard');
      await using watch = new ProcessWatch(`WIRE_STATE_DIR=${scene.user.folder}`);
      await work(session);

      const traces = [...session.traces, ...(await leftBy(scene)), ...environmentsOf(watch)];
      expect(findLeaks(session.secrets, traces)).toEqual([]);
      expectThorough(session, traces, commands);
    },
    110_000,
  );
});

/** Without the commands that this test itself gave a token in the environment: theirs shows it. */
function environmentsOf(watch: ProcessWatch): readonly Trace[] {
  const isGiven = ({ place, text }: Trace): boolean =>
    /^the environment of \S*node \S*bin\/wire\.js /.test(place) &&
    /\0(?:BEARER_TOKEN|ACCESS_TOKEN|REFRESH_TOKEN)=/.test(text) &&
    !text.includes('WIRE_DETACHED=1');
  return watch.traces.filter((trace) => !isGiven(trace));
}

/** All of the person's files but what was mounted, which is gone, and what a person wrote himself. */
async function leftBy(scene: Scene): Promise<readonly Trace[]> {
  return await filesBelow(scene.user.folder, (path) => path.endsWith('/given-secret'));
}

/** That nothing was found must not be because nothing was looked at. */
function expectThorough(
  session: Session,
  traces: readonly Trace[],
  commands: readonly string[],
): void {
  const { secrets, printed, ran } = session;
  const kinds = new Set(secrets.map(({ kind }) => kind));
  for (const kind of ['access_token', 'refresh_token', 'device_code']) {
    expect(kinds).toContain(kind);
  }
  expect(secrets.length).toBeGreaterThan(8);
  for (const name of commands) expect(ran).toContain(name);
  const text = traces.map((trace) => trace.text).join('\n');
  expect(/"level":"(?:info|debug|trace)"/.test(text)).toBe(true);
  expect(text.length).toBeGreaterThan(20_000);
  for (const place of [
    'stderr of wire',
    '/state/wire.log',
    'the arguments of',
    'the environment',
  ]) {
    expect(traces.some((trace) => trace.place.includes(place))).toBe(true);
  }
  // The search finds what is there: printed on purpose, or planted.
  const shown = printed.map((output, at) => ({ place: `printed ${at}`, text: output }));
  expect(findLeaks(secrets, shown).join('\n')).toContain('access_token');
  for (const { value } of secrets.slice(0, 5)) {
    const text64 = `x ${Buffer.from(`client:${value}`).toString('base64')} y`;
    expect(findLeaks(secrets, [{ place: 'here', text: text64 }])).not.toEqual([]);
  }
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
