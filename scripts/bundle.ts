/**
 * A part of `npm run build`: what tsc has made of the command, in few files, `dist/bundle/`, with the libraries that it
 * needs. A start that finds and compiles hundreds of small modules takes twice as long (decision
 * 26); what a command does not need stays in files of its own, which it does not load.
 */
import { rm } from 'node:fs/promises';
import { rolldown } from 'rolldown';

const folder = 'dist/bundle';
/** Native, or there only where a person has installed them. */
const external = ['@napi-rs/keyring', 'fuse-native', 'keytar'];

await rm(folder, { recursive: true, force: true });
await using bundle = await rolldown({
  input: { wire: 'dist/cli/main.js', 'mount-wire': 'dist/cli/mount-wire/main.js' },
  platform: 'node',
  external,
});
await bundle.write({ dir: folder, format: 'es', chunkFileNames: 'part-[hash].js', minify: false });
