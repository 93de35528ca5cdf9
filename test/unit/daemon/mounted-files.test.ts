import { describe, expect, it } from 'vitest';
import { locate } from '../../../src/daemon/mounted-files.ts';

function processOf(socketPath: string, ...mountPoints: readonly string[]) {
  const mounts = mountPoints.map((mountPoint) => ({ mountPoint }) as never);
  return { socketPath, status: { pid: 1, version: '1', startedMs: 0, mounts } };
}

describe('a path of the machine', () => {
  const processes = [processOf('one', '/m/data', '/m/dat'), processOf('two', '/m/data/inner')];

  it.each([
    ['/m/data', { socketPath: 'one', mountPoint: '/m/data', path: [] }],
    ['/m/data/a/b', { socketPath: 'one', mountPoint: '/m/data', path: ['a', 'b'] }],
    ['/m/data/inner/c', { socketPath: 'two', mountPoint: '/m/data/inner', path: ['c'] }],
    ['/m/data/..x', { socketPath: 'one', mountPoint: '/m/data', path: ['..x'] }],
    ['/m/database', undefined],
    ['/m', undefined],
  ])('%s leads to the innermost mount around it', (path, expected) => {
    expect(locate(path, processes)).toEqual(expected);
  });
});
