import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { canMount } from '../fixtures/real-mount.ts';

describe.skipIf(!canMount)('npm run demo', () => {
  it('ends with `demo: ok` alone on the last line of both streams, without a warning', async () => {
    const signal = AbortSignal.timeout(290_000);
    const { stdout, stderr } = await run(process.execPath, ['build/scripts/demo.js'], signal);
    for (const stream of [stdout, stderr]) {
      expect(stream.endsWith('\ndemo: ok\n') || stream === 'demo: ok\n').toBe(true);
    }
    expect(stderr).toBe('demo: ok\n');
    expect(stdout).not.toMatch(/warning|deprecat|unsupported/i);
  }, 300_000);
});
