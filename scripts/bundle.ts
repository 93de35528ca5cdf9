/**
 * A part of `npm run build`: what tsc has made of the command, in few files, `dist/bundle/`, with the libraries that it
 * needs, as CommonJS. A start that finds and compiles hundreds of small modules takes twice as long (decision
 * 26); what a command does not need stays in files of its own, which it does not load.
 */
import { rm } from 'node:fs/promises';
import { type Plugin, rolldown } from 'rolldown';

const folder = 'dist/bundle';
const EMPTY = '\0empty';
/** Native, or there only where a person has installed them. */
const external = ['@napi-rs/keyring', 'fuse-native', 'keytar'];

/**
 * commander could start commands that are programs of their own. Ours are not, and loading what
 * starts programs takes as long as commander itself.
 */
const noPrograms: Plugin = {
  name: 'no-programs',
  resolveId: (source, importer) =>
    source === 'node:child_process' && importer?.includes('/commander/') === true ? EMPTY : null,
  load: (id) => (id === EMPTY ? 'export {};' : null),
};

await rm(folder, { recursive: true, force: true });
await using bundle = await rolldown({
  input: { wire: 'dist/cli/main.js', 'mount-wire': 'dist/cli/mount-wire/main.js' },
  platform: 'node',
  external,
  plugins: [noPrograms],
});
await bundle.write({
  dir: folder,
  // Node loads it without the machinery of ES modules, which costs 12 ms of each start.
  format: 'cjs',
  entryFileNames: '[name].cjs',
  chunkFileNames: 'part-[hash].cjs',
  minify: false,
});
