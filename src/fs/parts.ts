/** Puts the parts of a file system over objects together. */
import { MEMORY_BYTES, MemoryBudget } from '../cache/memory-budget.ts';
import { AttributeReader } from './attribute-reader.ts';
import { AttributeSaver } from './attribute-saver.ts';
import { AttributeStore } from './attributes.ts';
import { DirectoryLister } from './directory-lister.ts';
import { Entries } from './entries.ts';
import { HandleTable } from './handle-table.ts';
import { InodeTable } from './inode-table.ts';
import type { Journal } from './journal/journal.ts';
import { KeptWrites } from './kept-writes.ts';
import { LateKernelCache } from './kernel-cache.ts';
import type { LeftWork } from './left-work.ts';
import type { FileSystemRoot, ObjectFileSystemOptions } from './options.ts';
import {
  endJournal,
  journalFor,
  leftWorkFor,
  uploadNotesFor,
  writeBackFor,
} from './pending-work.ts';
import { type Reader, readerFor } from './reader.ts';
import { Remains } from './remains.ts';
import { Renamer } from './renamer.ts';
import { SpecialNodes } from './special-nodes.ts';
import { StagingArea } from './staging-area.ts';
import { tellingRoot } from './telling-store.ts';
import { Tender } from './tending.ts';
import { Tree } from './tree.ts';
import { TreeLock } from './tree-lock.ts';
import { Uploader } from './uploader.ts';
import type { WriteBack } from './write-back.ts';
import { Writer } from './writer.ts';
import { WritingMemory } from './writing-memory.ts';
import { XattrOperations } from './xattrs.ts';

export interface FileSystemParts {
  readonly options: ObjectFileSystemOptions;
  readonly kernel: LateKernelCache;
  readonly nodes: InodeTable;
  readonly handles: HandleTable;
  readonly attributes: AttributeStore;
  readonly saver: AttributeSaver;
  readonly reader: Reader;
  readonly uploader: Uploader;
  readonly writer: Writer;
  readonly writeBack: WriteBack;
  /** Undefined where nothing is written down. */
  readonly journal: Journal | undefined;
  readonly left: LeftWork | undefined;
  readonly tree: Tree;
  readonly remains: Remains;
  readonly renamer: Renamer;
  readonly tender: Tender;
  /** Undefined where attributes are not read of metadata. */
  readonly attributeReader: AttributeReader | undefined;
  readonly entries: Entries;
  readonly lister: DirectoryLister;
  readonly special: SpecialNodes;
  readonly xattrs: XattrOperations;
}

export function createParts(given: ObjectFileSystemOptions): FileSystemParts {
  const root: FileSystemRoot =
    given.posix === true ? tellingRoot(given.root, () => reads) : given.root;
  const options: ObjectFileSystemOptions = { ...given, root };
  const { clock, listTtlMs, log, reading, consistency = 'ttl' } = options;
  const kernel = new LateKernelCache();
  const treeLock = new TreeLock();
  const budget = new MemoryBudget(options.memoryBytes ?? MEMORY_BYTES);
  const { chunks, bodies } = reading?.writing ?? new WritingMemory(budget);
  const staging = new StagingArea(options.stagingDir, chunks, clock, log);
  const journal = journalFor(options, staging);
  const notes = options.notes ?? journal;
  const remains: Remains = new Remains({
    ...{ notes, clock, log },
    preserve: async (node, signal) => await writer.preserve(node, signal),
  });
  const attributes = new AttributeStore({ ...options, onUnsaved: (node) => saver.changed(node) });
  const nodes = new InodeTable({
    ...options,
    hidden: remains,
    kindAt: (parent, name, version) => attributes.kindAt(parent, name, version),
    forgetEntries: async (entries) => await kernel.invalidateEntries(entries),
  });
  const saver = new AttributeSaver({
    ...{ attributes, nodes, treeLock, clock, log, makesMarkers: options.posix === true },
  });
  const reader = readerFor({ ...options, budget });
  const uploader = new Uploader(uploadNotesFor(staging, journal, clock), bodies, log);
  const writeBack = writeBackFor(options, journal, attributes, () => writer);
  const tree = new Tree({
    ...{ nodes, attributes, treeLock, remains, clock, listTtlMs, consistency, kernel },
    pending: writeBack,
  });
  const endpoint = reading?.endpoint.name ?? '';
  const keptIn = reading?.keptWrites;
  const kept = keptIn && new KeptWrites(keptIn, endpoint);
  const writer = new Writer({
    ...{ staging, uploader, reader, attributes, treeLock, remains, kept, clock, log },
    journal: writeBack,
  });
  const renamer = new Renamer({
    ...{ tree, nodes, attributes, writer, treeLock, remains, notes, clock, log },
    pending: writeBack,
  });
  const left = leftWorkFor({
    ...{ options, nodes, attributes, uploader, writer, writeBack, remains },
  });
  const pins = reading?.pins;
  const tender = new Tender({ root, rootNode: nodes.root, tree, reader, endpoint, pins });
  const reads: AttributeReader = new AttributeReader({ attributes, clock });
  const attributeReader = options.posix === true ? reads : undefined;
  const lister = new DirectoryLister({ nodes, tree, attributes, reader: attributeReader });
  const special = new SpecialNodes({ tree, nodes, attributes, remains, treeLock, clock });
  const xattrs = new XattrOperations({ attributes, reader: reads, clock });
  const entries = new Entries({ tree, attributes, saver, attributeReader, clock, listTtlMs });
  const handles = new HandleTable();
  return {
    ...{ options, kernel, nodes, handles, attributes, saver, reader },
    ...{ uploader, writer, writeBack, journal, left, tree, remains, renamer, tender },
    ...{ attributeReader, entries, lister, special, xattrs },
  };
}

/** Ends all work, what is below after what is above. */
export async function endParts(parts: FileSystemParts): Promise<void> {
  const { writeBack, writer, saver, remains, left, journal, nodes, reader } = parts;
  await writeBack[Symbol.asyncDispose]();
  await writer.close();
  await saver[Symbol.asyncDispose]();
  await remains[Symbol.asyncDispose]();
  await left?.[Symbol.asyncDispose]();
  if (journal !== undefined) await endJournal(journal);
  await nodes[Symbol.asyncDispose]();
  await reader[Symbol.asyncDispose]();
}
