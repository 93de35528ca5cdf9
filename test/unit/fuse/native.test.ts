import { describe, expect, it } from 'vitest';
import { loadNative } from '../../../src/fuse/native.ts';

const EBADF = 9;
const ENOENT = 2;

describe.skipIf(process.platform !== 'linux')('the addon', () => {
  const addon = loadNative();

  it('answers with a negative errno where the system refuses', async () => {
    const nowhere = '/nonexistent/mount/point';
    expect(addon.openDevice('/nonexistent/fuse')).toBe(-ENOENT);
    expect(addon.unmountSync(nowhere, 0)).toBeLessThan(0);
    expect(await addon.unmount(nowhere, 1)).toBeLessThan(0);
    expect(await addon.mount(-1, nowhere, 'a', 'b', 'rootmode=40000', 0)).toBeLessThan(0);
    expect(await addon.replaceTop(-1, nowhere, 'a', 'b', 'rootmode=40000', 0)).toBeLessThan(0);
    expect(addon.receiveDescriptor(-1)).toBe(-EBADF);
  });

  it('waits for no descriptor that has not been sent', () => {
    const [ours, theirs] = addon.socketPair();
    expect(addon.receiveDescriptor(ours)).toBeLessThan(0);
    addon.closeDescriptor(theirs);
    addon.closeDescriptor(ours);
  });

  it('refuses arguments of a wrong type or an arena too small for one request', () => {
    const untyped = addon as unknown as { openDevice(path: unknown): number };
    expect(() => untyped.openDevice(7)).toThrow(TypeError);
    const bounds = new Uint32Array(128);
    const head = new Uint8Array(64);
    const nothing = (): void => undefined;
    expect(
      () => new addon.Channel(-1, new Uint8Array(4096), bounds, head, 4097, nothing, nothing),
    ).toThrow(RangeError);
    expect(
      () => new addon.Channel(-1, new Uint8Array(4096), bounds, head, 4096, nothing, nothing),
    ).toThrow('event loop');
  });
});
