import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServiceNotifier } from '../../../src/daemon/service-notifier.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { NotifySocket } from '../../fixtures/notify-socket.ts';

const signal = AbortSignal.timeout(20_000);
let folder = '';

function notifierOf(environment: Record<string, string>, clock = new FakeClock()): ServiceNotifier {
  return new ServiceNotifier({ environment, pid: 7, clock, log: silentLog });
}

describe.skipIf(process.platform !== 'linux')('the service manager', () => {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-notify-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('hears over its socket that the service is ready, how it is, and once that it stops', async () => {
    await using manager = await NotifySocket.open(join(folder, 'notify'));
    await using service = notifierOf({ NOTIFY_SOCKET: manager.path });
    service.ready('no mounts yet');
    service.status('two\nREADY=0 lines');
    service.stopping();
    service.stopping();
    service.status('end');
    await manager.until('STATUS=end', signal);
    expect(manager.heard).toEqual([
      'READY=1',
      'STATUS=no mounts yet',
      'STATUS=two READY=0 lines',
      'STOPPING=1',
      'STATUS=end',
    ]);
  });

  it('hears it by an abstract name too', async () => {
    await using manager = await NotifySocket.open(`@wire-notify-${folder.slice(-6)}`);
    await using service = notifierOf({ NOTIFY_SOCKET: manager.path });
    service.ready('here');
    await manager.until('STATUS=here', signal);
  });

  it('hears of its watchdog every half of its time, until the service ends', async () => {
    await using manager = await NotifySocket.open(join(folder, 'notify'));
    const clock = new FakeClock();
    const watchdog = { WATCHDOG_USEC: '4000000', WATCHDOG_PID: '7' };
    const service = notifierOf({ NOTIFY_SOCKET: manager.path, ...watchdog }, clock);
    service.ready('s');
    await clock.advance(1_999);
    service.status('early');
    await manager.until('STATUS=early', signal);
    const fed = (): number => manager.heard.filter((each) => each === 'WATCHDOG=1').length;
    expect(fed()).toBe(1);
    await clock.advance(4_000);
    service.status('late');
    await manager.until('STATUS=late', signal);
    expect(fed()).toBe(3);
    await service[Symbol.asyncDispose]();
    expect(clock.sleeping).toBe(0);
  });

  it.each([
    ['of another process', { WATCHDOG_USEC: '4000000', WATCHDOG_PID: '8' }],
    ['that is off', { WATCHDOG_USEC: '0' }],
    ['that is no number', { WATCHDOG_USEC: '4s' }],
  ])('hears of no watchdog %s', async (_, watchdog) => {
    await using manager = await NotifySocket.open(join(folder, 'notify'));
    const clock = new FakeClock();
    await using service = notifierOf({ NOTIFY_SOCKET: manager.path, ...watchdog }, clock);
    service.ready('s');
    await clock.advance(60_000);
    service.status('end');
    await manager.until('STATUS=end', signal);
    expect(manager.heard).not.toContain('WATCHDOG=1');
  });

  it.each([
    ['is not there', () => join(folder, 'nobody')],
    ['has a name longer than any', () => `/${'x'.repeat(300)}`],
    ['is of another kind', () => 'vsock:2:1234'],
    ['was not named', () => ''],
  ])('that %s keeps no service from its work', async (_, path) => {
    await using service = notifierOf({ NOTIFY_SOCKET: path() });
    expect(() => {
      service.ready('s');
      service.stopping();
    }).not.toThrow();
  });
});
