/**
 * `wire-server.js MOUNTPOINT ATTRIBUTE_SECONDS [empty]`: the tree of the benchmark over our
 * transport. Prints `ready` when the kernel may ask; serves until SIGTERM.
 */
import { attachMount } from '../../src/fuse/linux/mount.ts';
import { createLog } from '../../src/lib/log.ts';
import { Tree } from './tree.ts';
import { TreeFileSystem } from './tree-file-system.ts';

const [mountPoint = '', attributeSeconds = '0', content = 'planted'] = process.argv.slice(2);
const { signal } = new AbortController();
const log = createLog((line) => process.stderr.write(`${line}\n`), 'warn', Date.now);

const tree = new Tree(content === 'planted');
const mount = await attachMount(
  { mountPoint, readOnly: false, allowOther: true, fsName: 'bench' },
  signal,
);
process.once('SIGTERM', () => {
  mount.unmount('lazy', signal).catch(() => mount.unmountNow());
});
mount.serve(new TreeFileSystem(tree, Number(attributeSeconds) * 1000), log);
process.stdout.write('ready\n');
await mount.ended;
