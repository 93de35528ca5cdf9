/** Puts the parts of a file system over objects together. */
import { AttributeStore } from './attributes.ts';
import { HandleTable } from './handle-table.ts';
import { InodeTable } from './inode-table.ts';
import { KeptWrites } from './kept-writes.ts';
import { LateKernelCache } from './kernel-cache.ts';
import type { ObjectFileSystemOptions } from './options.ts';
import { type Reader, readerFor } from './reader.ts';
import { Renamer } from './renamer.ts';
import { StagingArea } from './staging-area.ts';
import { Tender } from './tending.ts';
import { Tree } from './tree.ts';
import { TreeLock } from './tree-lock.ts';
import { Uploader } from './uploader.ts';
import { Writer } from './writer.ts';

export interface FileSystemParts {
  readonly options: ObjectFileSystemOptions;
  readonly kernel: LateKernelCache;
  readonly nodes: InodeTable;
  readonly handles: HandleTable;
  readonly attributes: AttributeStore;
  readonly reader: Reader;
  readonly uploader: Uploader;
  readonly writer: Writer;
  readonly tree: Tree;
  readonly renamer: Renamer;
  readonly tender: Tender;
}

export function createParts(options: ObjectFileSystemOptions): FileSystemParts {
  const { clock, listTtlMs, log, root, reading, consistency = 'ttl' } = options;
  const kernel = new LateKernelCache();
  const treeLock = new TreeLock();
  const staging = new StagingArea(options.stagingDir, clock);
  const nodes = new InodeTable({
    ...options,
    forgetEntry: (parent, name) => kernel.forgetEntry(parent, name),
  });
  const attributes = new AttributeStore(options);
  const reader = readerFor(options);
  const uploader = new Uploader(staging, log);
  const tree = new Tree({ nodes, attributes, treeLock, clock, listTtlMs, consistency, kernel });
  const endpoint = reading?.endpoint.name ?? '';
  const keptIn = reading?.keptWrites;
  const kept = keptIn && new KeptWrites(keptIn, endpoint);
  const writer = new Writer({
    ...{ staging, uploader, reader, attributes, treeLock, kept, clock, log },
  });
  const renamer = new Renamer({ tree, nodes, attributes, writer, treeLock, clock, log });
  const pins = reading?.pins;
  const tender = new Tender({ root, rootNode: nodes.root, tree, reader, endpoint, pins });
  const handles = new HandleTable();
  return {
    ...{ options, kernel, nodes, handles, attributes, reader },
    ...{ uploader, writer, tree, renamer, tender },
  };
}
