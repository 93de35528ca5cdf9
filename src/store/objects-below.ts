import type { ObjectStore, ObjectSummary } from './object-store.ts';

/** Every object whose key begins with `prefix`, page after page. @throws as `ObjectStore.list`. */
export async function* objectsBelow(
  store: ObjectStore,
  prefix: string,
  signal: AbortSignal,
): AsyncGenerator<ObjectSummary> {
  let continuation: string | undefined;
  do {
    const more = continuation === undefined ? {} : { continuation };
    const page = await store.list({ prefix, ...more }, signal);
    yield* page.objects;
    continuation = page.next;
  } while (continuation !== undefined);
}
