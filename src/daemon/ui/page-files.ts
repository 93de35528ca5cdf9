/**
 * The files that make the page, read once. A request names one of this table or nothing: no path of
 * a request ever reaches the file system.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../../lib/package-root.ts';

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
} as const;

/** Every file, by the path that a browser asks for. */
const names: Readonly<Record<string, string>> = {
  '/': 'index.html',
  '/style.css': 'style.css',
  '/icon.svg': 'icon.svg',
  '/main.js': 'main.js',
  '/server.js': 'server.js',
  '/elements.js': 'elements.js',
  '/words.js': 'words.js',
  '/chart.js': 'chart.js',
  '/mounts.js': 'mounts.js',
  '/logins.js': 'logins.js',
  '/storage.js': 'storage.js',
  '/dialogs.js': 'dialogs.js',
};

export interface PageFile {
  readonly type: string;
  readonly text: string;
}

export async function readPageFiles(signal: AbortSignal): Promise<ReadonlyMap<string, PageFile>> {
  const folder = join(packageRoot(), 'page');
  const read = Object.entries(names).map(async ([path, name]) => {
    const text = await readFile(join(folder, name), { encoding: 'utf8', signal });
    const extension = name.slice(name.lastIndexOf('.') + 1) as keyof typeof types;
    return [path, { type: types[extension], text }] as const;
  });
  return new Map(await Promise.all(read));
}
