/** What others may try at the control socket of a process that serves a mount. */
import { chmod, readdir, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

const STATUS = 'GET /status HTTP/1.1\r\nHost: localhost\r\n';
const MOUNTS = 'POST /mounts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
const TAKE_BACK = 'DELETE /mounts HTTP/1.1\r\nHost: localhost\r\n';
const UNMOUNT = 'POST /unmount HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n';

/** That never finish. */
const SLOW_CLIENTS = 50;

/** Connects as somebody else and shows what comes back. */
const OTHER_USER = `
const socket = require('node:net').connect(process.argv[1]);
socket.on('error', (error) => { console.log(error.code); process.exit(0); });
socket.on('data', (data) => { console.log(String(data)); });
socket.on('close', () => process.exit(0));
socket.write(process.argv[2]);
`;

async function serving(): Promise<{ scene: Scene; socket: string; mountPoint: string }> {
  const scene = await Scene.open();
  await scene.login();
  const mountPoint = scene.place('bucket');
  await scene.mount(`s3://${scene.playground.bucket}`, mountPoint);
  const folder = scene.user.environment['WIRE_RUNTIME_DIR'] ?? '';
  const names = await readdir(folder);
  const name = names.find((each) => each.endsWith('.sock')) ?? '';
  return { scene, socket: join(folder, name), mountPoint };
}

/** What the server says to `pieces` until it hangs up or has answered; '' for nothing at all. */
async function say(socketPath: string, pieces: Iterable<string>): Promise<string> {
  const socket = connect(socketPath);
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    socket.end();
  });
  socket.on('error', () => undefined); // it hung up while we wrote
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  for (const piece of pieces) socket.write(piece);
  await closed;
  return heard;
}

/** What the server says to somebody else, or the error of the connection. */
async function asOther(socket: string, words: string, signal: AbortSignal): Promise<string> {
  const as = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
  const { stdout } = await run('setpriv', [...as, '-e', OTHER_USER, socket, words], signal, {
    cwd: '/',
  });
  return stdout.trim();
}

function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
}

describe.skipIf(!canMount)('a client of the control socket', () => {
  it('that is no wire is refused, and the mount is served as before', async () => {
    const { scene, socket, mountPoint } = await serving();
    await using open = scene;
    expect(statusOf(await say(socket, [`${STATUS}\r\n`]))).toBe(200);
    const whole = `{"mountPoint":${JSON.stringify(mountPoint)},"lazy":true}`;
    const length = `Content-Length: ${whole.length}\r\n\r\n`;
    const hostile: readonly (readonly [string, readonly string[]])[] = [
      ['another host', [STATUS.replace('localhost', 'evil.example'), '\r\n']],
      ['no host', ['GET /status HTTP/1.1\r\n\r\n']],
      ['a page', [STATUS, 'Origin: https://evil.example\r\n\r\n']],
      ['a page that unmounts', [UNMOUNT, `Origin: null\r\n${length}`, whole]],
      ['a page without Origin', [UNMOUNT.replace('localhost', 'evil.example'), length, whole]],
      ['an unknown verb', ['POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n']],
      ['a huge body', [UNMOUNT, 'Content-Length: 10000000\r\n\r\n', 'x'.repeat(10_000_000)]],
      ['a huge head', [STATUS, `X: ${'x'.repeat(1_000_000)}\r\n\r\n`]],
      ['no JSON', [UNMOUNT, 'Content-Length: 5\r\n\r\n', '{"a":']],
      ['no HTTP', ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n']],
      ['takes back nothing', [TAKE_BACK, '\r\n']],
      ['takes back what it guesses', [TAKE_BACK, 'X-Wire-Request: 1\r\n\r\n']],
      ['takes back two', [TAKE_BACK, 'X-Wire-Request: 1\r\nX-Wire-Request: 2\r\n\r\n']],
      ['a page that takes back', [TAKE_BACK, 'Origin: null\r\n\r\n']],
      ['a huge name to take back', [TAKE_BACK, `X-Wire-Request: ${'1'.repeat(100_000)}\r\n\r\n`]],
      ['a huge take-back', [TAKE_BACK, 'Content-Length: 10000000\r\n\r\n', 'x'.repeat(10_000_000)]],
      ['chunks without end', [TAKE_BACK, CHUNKED, `fffffff\r\n${'x'.repeat(1_000_000)}`]],
      ['mounts that are no JSON', [MOUNTS, 'Content-Length: 5\r\n\r\n', '{"a":']],
      ['huge mounts', [MOUNTS, 'Content-Length: 10000000\r\n\r\n', 'x'.repeat(10_000_000)]],
      ['two lengths', [UNMOUNT, 'Content-Length: 3\r\nContent-Length: 4\r\n\r\n', '{}x']],
    ];
    for (const [what, pieces] of hostile) {
      const status = statusOf(await say(socket, pieces));
      expect({ what, refused: status === 0 || status >= 400 }).toEqual({ what, refused: true });
    }
    const after = await say(socket, [`${STATUS}\r\n`]);
    expect(after).toContain('"state":"ready"');
    await stat(join(mountPoint));
    await open.user.wire(['unmount', mountPoint], open.signal);
  });

  it('that never finishes its request is hung up on, and keeps nobody else waiting', async () => {
    const { scene, socket, mountPoint } = await serving();
    await using open = scene;
    const begun = [
      [STATUS],
      [TAKE_BACK],
      [TAKE_BACK, 'Content-Length: 100\r\n\r\n', '{'],
      [UNMOUNT, 'Content-Length: 100\r\n\r\n', '{'],
      [MOUNTS, 'Content-Length: 100\r\n\r\n', '{'],
    ];
    const slow = Array.from(
      { length: SLOW_CLIENTS },
      async (_, at) => await say(socket, begun[at % begun.length] ?? []),
    );
    expect(statusOf(await say(socket, [`${STATUS}\r\n`]))).toBe(200);
    for (const answer of await Promise.all(slow)) {
      const status = statusOf(answer);
      expect(status === 0 || status >= 400).toBe(true);
    }
    await open.user.wire(['unmount', mountPoint], open.signal);
  });

  it.skipIf(!isRoot)('who is somebody else gets no answer', async () => {
    const { scene, socket, mountPoint } = await serving();
    await using open = scene;
    expect(await asOther(socket, `${STATUS}\r\n`, open.signal)).toBe('EACCES');
    // Let past the folder and the socket's own mode, it is who asks that is looked at.
    await chmod(open.user.folder, 0o711);
    await chmod(dirname(socket), 0o711);
    await chmod(socket, 0o666);
    const body = '{}';
    const length = `Content-Length: ${body.length}\r\n\r\n${body}`;
    for (const words of [`${STATUS}\r\n`, MOUNTS + length, UNMOUNT + length, `${TAKE_BACK}\r\n`]) {
      const heard = await asOther(socket, words, open.signal);
      expect({ words, heard: /^(?:|ECONNRESET|EPIPE)$/.test(heard) ? '' : heard }).toEqual({
        words,
        heard: '',
      });
    }
    // The same words of its owner are answered.
    expect(statusOf(await say(socket, [MOUNTS + length]))).toBe(400);
    await chmod(dirname(socket), 0o700);
    await open.user.wire(['unmount', mountPoint], open.signal);
  });
});
