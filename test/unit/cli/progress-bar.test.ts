import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { progressBar, Remaining } from '../../../src/cli/views/progress-bar.ts';
import { FakeCli } from './fake-cli.ts';

describe('a bar of progress', () => {
  it('is empty at the beginning, half at half, and full only at the end', () => {
    expect(progressBar(0, 100)).toBe(`[${'-'.repeat(20)}]`);
    expect(progressBar(50, 100)).toBe(`[${'#'.repeat(10)}${'-'.repeat(10)}]`);
    expect(progressBar(99, 100)).toBe(`[${'#'.repeat(19)}-]`);
    expect(progressBar(100, 100)).toBe(`[${'#'.repeat(20)}]`);
    expect(progressBar(0, 0)).toBe(`[${'#'.repeat(20)}]`);
  });

  it('is always as wide, whatever it is told', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (done, total) => {
        expect(progressBar(done, total)).toMatch(/^\[#*-*\]$/);
        expect(progressBar(done, total)).toHaveLength(22);
      }),
    );
  });

  it('of what is left begins anew when more comes to it', () => {
    const remaining = new Remaining();
    expect(remaining.bar(100)).toBe(progressBar(0, 100));
    expect(remaining.bar(25)).toBe(progressBar(75, 100));
    expect(remaining.bar(200)).toBe(progressBar(0, 200));
  });
});

describe('a bar', () => {
  it.each([
    [['cache', 'warm', '/m'], '[--------------------] /m: 0 B of 2.0 KiB (0 %), 0 files'],
    [['recover', '--to', 'out'], '[#####---------------] out: 1.0 KiB of 4.0 KiB (25 %), 1 file'],
    [['unmount', '/m'], '[###############-----] Saving /m: 1 file, 1.0 KiB to go'],
  ])('is seen by who watches %j, and by nobody else', async (words, line) => {
    const cli = new FakeCli();
    const unseen = await cli.run(...words);
    expect(unseen.stdout + unseen.stderr).not.toContain('[#');
    expect(unseen.stdout + unseen.stderr).not.toContain('[-');
    cli.isTTY = true;
    const { code, stderr } = await cli.run(...words);
    expect([code, stderr]).toEqual([0, expect.stringContaining(line)]);
  });
});
