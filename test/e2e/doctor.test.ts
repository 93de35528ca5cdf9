import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rename, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/daemon/doctor/finding.ts';
import { Closers } from '../../src/lib/closers.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { Scene } from '../fixtures/real-mount.ts';

const anyExit = Array.from({ length: 255 }, (_, code) => code + 1);

interface CheckedUp {
  readonly exitCode: number;
  readonly findings: readonly Finding[];
  readonly stderr: string;
}

/** `wire doctor ...args --json`. */
async function doctor(scene: Scene, ...args: readonly string[]): Promise<CheckedUp> {
  const { user, signal } = scene;
  const words = ['doctor', ...args, '--json'];
  const { exitCode, stdout, stderr } = await user.wire(words, signal, { allow: anyExit });
  const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
  return { exitCode, findings, stderr };
}

/** Of the checks that do not depend on the machine this runs on. */
function elsewhere(findings: readonly Finding[]): readonly Finding[] {
  const ofMachine = ['wire', 'fuse', 'mounts', 'disk', 'indexer', 'latency'];
  return findings.filter(({ check }) => !ofMachine.includes(check));
}

function only(findings: readonly Finding[], check: string): Finding {
  const found = findings.filter((each) => each.check === check);
  expect({ check, found }).toEqual({ check, found: [expect.anything()] });
  return found[0] ?? ({} as Finding);
}

/** The store behind a clock that is wrong by so much. */
async function wrongClock(endpoint: string, aheadMs: number, closers: Closers): Promise<string> {
  const server = createServer((request, response) => {
    const { method, headers, url } = request;
    const { port } = new URL(endpoint);
    const asked = httpRequest({ host: '127.0.0.1', port, method, headers, path: url }, (answer) => {
      const date = new Date(Date.now() + aheadMs).toUTCString();
      response.writeHead(answer.statusCode ?? 500, { ...answer.headers, date });
      answer.pipe(response);
    });
    asked.on('error', () => response.destroy());
    request.pipe(asked);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.defer(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('wire doctor, where all is well', () => {
  it('finds so, tries rights, conditions and times in the bucket, and leaves nothing there', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, store } = scene;
    const { bucket, s3, issuer } = playground;
    const before = s3.counters.snapshot();
    const { findings, stderr } = await doctor(
      scene,
      `s3://${bucket}/some/place`,
      ...store,
      '--issuer',
      issuer,
    );
    expect(elsewhere(findings).filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(only(findings, 'bucket').seen).toBe(
      `s3://${bucket}/some/place/: you may list, write, read, delete`,
    );
    expect(only(findings, 'conditions').level).toBe('ok');
    expect(only(findings, 'latency').seen).toMatch(/^4096 bytes come in/);
    expect(only(findings, 'identity').seen).toMatch(/^alice \(groups /);
    expect(stderr).not.toContain('failure');
    // It did write: that nothing is there is not for want of trying.
    expect(s3.counters.of('PutObject').requests).toBeGreaterThan(
      before['PutObject']?.requests ?? 0,
    );
    expect(s3.foreign.objects(bucket)).toEqual([]);
    expect(s3.foreign.uploads(bucket)).toEqual([]);
  });

  it('shows people the same in words, each fix below what it is for', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    const args = ['doctor', '--endpoint', playground.endpoint, '--issuer', playground.issuer];
    const { stdout } = await user.wire(args, signal, {
      allow: [exitCodeOf.warned, exitCodeOf['no-fuse']],
    });
    expect(stdout).toMatch(/^ok {7}wire {8}wire \d/m);
    expect(stdout).toMatch(
      /^note {5}identity {4}there is no login and no token: .*\n {21}-> run: wire login http/m,
    );
    expect(stdout).toMatch(/^ok {7}provider {4}http:\S+ answers, and takes logins by codes/m);
    expect(stdout).toMatch(
      /^ok {7}STS {9}http:\S+ answers; whether it trusts a login was not asked$/m,
    );
    expect(stdout).toMatch(/^note {5}bucket {6}no SOURCE was named/m);
  });
});

describe('wire doctor, where something is wrong', () => {
  it('names the claim that an STS does not take, and the role that it does not know', async () => {
    await using scene = await Scene.open();
    await scene.login('bob');
    const { playground, store, user, signal } = scene;
    const source = `s3://${playground.bucket}`;
    const role = await doctor(scene, source, ...store, '--role', playground.roles['alice-only']);
    expect(role.exitCode).toBe(exitCodeOf['identity-refused']);
    expect(only(role.findings, 'sts')).toMatchObject({ level: 'failure' });
    expect(only(role.findings, 'sts').seen).toMatch(/claim that it asks for: .*sub.*sub=b0b00000-/);
    expect(only(role.findings, 'bucket')).toMatchObject({ level: 'note' });
    expect(playground.s3.counters.of('ListObjectsV2').requests).toBe(0);
    await user.wire(['token', '--audience', 'other'], signal);
    const audience = await doctor(scene, source, ...store, '--audience', 'other');
    expect(only(audience.findings, 'sts').seen).toMatch(/claim aud or iss.*aud=other/);
  });

  it('tells which rights lack in a bucket, and exits as a mount would', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { store, playground } = scene;
    const denied = await doctor(scene, 's3://bob', ...store);
    expect(denied.exitCode).toBe(exitCodeOf['access-denied']);
    const bucket = denied.findings.filter(({ check }) => check === 'bucket');
    expect(bucket.map(({ seen }) => seen)).toEqual([
      'cannot list in s3://bob: AccessDenied (403)',
      'cannot write in s3://bob: AccessDenied (403)',
    ]);
    const readOnly = ['--role', playground.roles['read-only'], '--read-only'];
    const reading = await doctor(scene, `s3://${playground.bucket}`, ...store, ...readOnly);
    expect(only(reading.findings, 'bucket')).toMatchObject({ level: 'ok' });
    expect(playground.s3.counters.of('PutObject').requests).toBe(1);
  });

  it('goes on when the provider is gone, and when the store is', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, store } = scene;
    playground.iam.addFault({ endpoint: 'any', drop: 'before', times: 1000 });
    const gone = await doctor(
      scene,
      `s3://${playground.bucket}`,
      ...store,
      '--issuer',
      playground.issuer,
    );
    expect(gone.exitCode).toBe(exitCodeOf.unreachable);
    expect(only(gone.findings, 'provider')).toMatchObject({
      level: 'failure',
      kind: 'unreachable',
    });
    // The login is there all the same; the store asks the provider for its keys, and gets none.
    expect(only(gone.findings, 'identity')).toMatchObject({ level: 'ok' });
    expect(only(gone.findings, 'sts')).toMatchObject({ level: 'failure' });
    const closed = ['--endpoint', 'http://127.0.0.1:1024', '--issuer', playground.issuer];
    playground.iam.clearFaults();
    const nobody = await doctor(scene, `s3://${playground.bucket}`, ...store, ...closed);
    expect(nobody.exitCode).toBe(exitCodeOf.unreachable);
    expect(only(nobody.findings, 'sts').seen).toContain('connection refused');
    expect(only(nobody.findings, 'provider')).toMatchObject({ level: 'ok' });
  });

  it('tells a store whose clock is wrong, by how much, and what comes of it', async () => {
    await using scene = await Scene.open();
    await using closers = new Closers();
    await scene.login();
    const { playground, store } = scene;
    const late = await wrongClock(playground.endpoint, -3_600_000, closers);
    const args = [...store, '--endpoint', late, '--issuer', playground.issuer];
    const { findings } = await doctor(scene, `s3://${playground.bucket}`, ...args);
    const clock = findings.filter(({ check }) => check === 'clock');
    expect(clock.map(({ level }) => level)).toEqual(['warning', 'warning']);
    expect(clock[0]?.seen).toMatch(
      /^the store \(127\.0\.0\.1:\d+\) is 60 min behind this machine$/,
    );
    expect(clock[1]?.seen).toMatch(/60 min ahead of the store, which refuses each new token/);
  });

  it('asks another issuer than the right one, and says what that answered', async () => {
    await using scene = await Scene.open();
    const { endpoint } = scene.playground;
    const { exitCode, findings } = await doctor(
      scene,
      '--issuer',
      endpoint,
      '--endpoint',
      endpoint,
    );
    expect(exitCode).toBe(exitCodeOf.config);
    expect(only(findings, 'provider').seen).toContain('/.well-known/openid-configuration');
    expect(only(findings, 'provider').fix).toMatch(/check the issuer URL/);
  });

  it('tells logins that cannot be read, and a configuration that cannot', async () => {
    await using scene = await Scene.open();
    await scene.login();
    await rename(scene.place('key'), scene.place('key.away'));
    await writeFile(scene.user.environment['WIRE_CONFIG'] ?? '', 'profiles: [1', { mode: 0o600 });
    const { exitCode, findings } = await doctor(scene);
    expect(exitCode).toBe(exitCodeOf.config);
    expect(only(findings, 'logins')).toMatchObject({
      level: 'failure',
      fix: 'check WIRE_KEY_FILE',
    });
    expect(findings.filter(({ check }) => check === 'config')).toMatchObject([
      { level: 'failure', kind: 'config' },
    ]);
  });

  it('takes the probe away when the person has had enough', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { playground, store, user } = scene;
    const { s3, bucket } = playground;
    s3.faults.stallNext(1, 60_000, { operation: 'GetObject' });
    const [program = '', ...rest] = user.commandLine(['doctor', `s3://${bucket}`, ...store]);
    const child = spawn(program, rest, {
      stdio: 'ignore',
      env: { ...process.env, ...user.environment },
    });
    const ended = once(child, 'exit');
    await expect.poll(() => s3.foreign.objects(bucket).length, { timeout: 30_000 }).toBe(1);
    child.kill('SIGINT');
    expect(await ended).toEqual([exitCodeOf.interrupted, null]);
    expect(s3.foreign.objects(bucket)).toEqual([]);
  });
});
