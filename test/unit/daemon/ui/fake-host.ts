/** What is behind a page in tests: answers at once unless a test says otherwise. */
import type { LoginEvents } from '../../../../src/daemon/identity.ts';
import type { MountStatus } from '../../../../src/daemon/mount.ts';
import type { Status } from '../../../../src/daemon/status.ts';
import type { AskedLogin, AskedMount, PageHost } from '../../../../src/daemon/ui/page-host.ts';

export const mountPoint = '/m';

/** A mount that has sent `sent` bytes and received as many. */
export function statusWith(sent = 0, more: Partial<MountStatus> = {}): Status {
  const flow = { bytes: sent, bytesPerSecond: 0 };
  const traffic = { sent: flow, received: flow, readBytes: sent, writtenBytes: sent };
  return {
    mounts: [
      {
        ...{ mountPoint, source: 's3://b', readOnly: false, state: 'ready', readySinceMs: 5 },
        ...{ endpoint: 'https://s3.example', issuer: 'https://iam.example', role: undefined },
        ...{ credentialsUntilMs: undefined, openHandles: 0, pid: 7, failures: [] },
        ...{ unsavedFiles: 0, unsavedBytes: 0, work: { operations: [], requests: [], traffic } },
        ...more,
        degraded: 'identity',
      },
    ],
    logins: [],
  };
}

export class FakeHost implements PageHost {
  now: Status = statusWith();
  /** What was asked for, in order. */
  readonly asked: unknown[] = [];
  looks = 0;
  login: (events: LoginEvents, signal: AbortSignal) => Promise<readonly string[]> = async () =>
    await Promise.resolve(['Logged in']);
  work: (
    progress: (left: { files: number; bytes: number }) => void,
    signal: AbortSignal,
  ) => Promise<readonly string[]> = async () => await Promise.resolve(['done']);

  async status(): Promise<Status> {
    this.looks += 1;
    return await Promise.resolve(this.now);
  }

  async statusAgain(): Promise<Status> {
    return await Promise.resolve(this.now);
  }

  async listLeft(): Promise<never[]> {
    return await Promise.resolve([]);
  }

  async cacheUsage(): Promise<Awaited<ReturnType<PageHost['cacheUsage']>>> {
    const usage = { folder: '/cache', objects: 0, bytes: 0, quotaBytes: 10, pinnedBytes: 0 };
    return await Promise.resolve(usage);
  }

  async profiles(): Promise<never[]> {
    return await Promise.resolve([]);
  }

  qr(text: string): { size: number; path: string } {
    return { size: text.length, path: 'M0 0h1v1h-1z' };
  }

  async logIn(
    asked: AskedLogin,
    events: LoginEvents,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    this.asked.push(['login', asked]);
    return await this.login(events, signal);
  }

  async logOut(issuer: string, forget: boolean, signal: AbortSignal): Promise<readonly string[]> {
    this.asked.push(['logout', issuer, forget]);
    return await this.work(() => undefined, signal);
  }

  async mount(asked: AskedMount, signal: AbortSignal): Promise<readonly string[]> {
    this.asked.push(['mount', asked]);
    return await this.work(() => undefined, signal);
  }

  async unmount(
    place: string,
    lazy: boolean,
    progress: (left: { files: number; bytes: number }) => void,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    this.asked.push(['unmount', place, lazy]);
    return await this.work(progress, signal);
  }

  async refresh(place: string, signal: AbortSignal): Promise<readonly string[]> {
    this.asked.push(['refresh', place]);
    return await this.work(() => undefined, signal);
  }

  async clearCache(signal: AbortSignal): Promise<readonly string[]> {
    this.asked.push(['clear']);
    return await this.work(() => undefined, signal);
  }
}
