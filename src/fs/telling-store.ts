/**
 * A store whose listings tell metadata along where the server can do that (MinIO), so that nobody
 * need ask for each object. Others pass the question over: they are asked so until the first listing
 * that holds an object without an answer. Either way a listing tells whether a directory has an
 * object of its own.
 */
import type {
  ListPage,
  ListRequest,
  ObjectStore,
  ObjectStores,
  ObjectSummary,
  ObjectVersion,
} from '../store/object-store.ts';
import type { Place } from './directory-source.ts';
import type { Metadata } from './object-metadata.ts';
import type { FileSystemRoot } from './options.ts';

/** Hears what listings tell. */
export interface MetadataListener {
  told(place: Place, version: ObjectVersion, metadata: Metadata): void;
  /** A directory has no object of its own. */
  toldNone(place: Place): void;
}

/** `root`, with stores that tell `listener` what they list. */
export function tellingRoot(
  root: FileSystemRoot,
  listener: () => MetadataListener,
): FileSystemRoot {
  if (root.kind === 'bucket') return { ...root, store: tellingStore(root.store, listener) };
  const { stores } = root;
  const known = new Map<string, ObjectStore>();
  const open = (bucket: string): ObjectStore => {
    const store = known.get(bucket) ?? tellingStore(stores.open(bucket), listener);
    known.set(bucket, store);
    return store;
  };
  const telling: ObjectStores = { buckets: async (signal) => await stores.buckets(signal), open };
  return { kind: 'buckets', stores: telling };
}

function tellingStore(store: ObjectStore, listener: () => MetadataListener): ObjectStore {
  let asks = true;
  const list = async (request: ListRequest, signal: AbortSignal): Promise<ListPage> => {
    const page = await store.list(asks ? { ...request, metadata: true } : request, signal);
    const hears = listener();
    for (const object of page.objects) {
      if (object.metadata === undefined) asks = false;
      else hears.told({ store, key: object.key }, object, object.metadata);
    }
    // The object of a directory is the first of what is below it.
    if (isWhole(request) && page.objects[0]?.key !== request.prefix) {
      hears.toldNone({ store, key: request.prefix });
    }
    // What is kept of a name has no use for it.
    return { ...page, objects: page.objects.map(withoutMetadata) };
  };
  return {
    bucket: store.bucket,
    list,
    head: async (...args) => await store.head(...args),
    read: async (...args) => await store.read(...args),
    put: async (...args) => await store.put(...args),
    copy: async (...args) => await store.copy(...args),
    delete: async (...args) => await store.delete(...args),
    startUpload: async (...args) => await store.startUpload(...args),
    uploadPart: async (...args) => await store.uploadPart(...args),
    copyPart: async (...args) => await store.copyPart(...args),
    completeUpload: async (...args) => await store.completeUpload(...args),
    abortUpload: async (...args) => await store.abortUpload(...args),
    listUploads: async (...args) => await store.listUploads(...args),
    listParts: async (...args) => await store.listParts(...args),
  };
}

/** Whether a listing begins with a directory's own object, if there is one. */
function isWhole({ prefix, continuation, startAfter }: ListRequest): boolean {
  return prefix.endsWith('/') && continuation === undefined && startAfter === undefined;
}

function withoutMetadata(object: ObjectSummary): ObjectSummary {
  if (object.metadata === undefined) return object;
  const { key, etag, bytes, modifiedMs } = object;
  return { key, etag, bytes, modifiedMs };
}
