import type { ObjectVersion } from '../store/object-store.ts';
import type { AttributeStore } from './attributes.ts';
import type { FileNode } from './nodes.ts';
import type { Metadata } from './object-metadata.ts';

/**
 * Handles, local content, caches and attributes of the version `before` go on with `copy`, which
 * has its bytes, and `metadata` if that was replaced.
 */
export function becomeVersion(
  node: FileNode,
  before: ObjectVersion,
  copy: ObjectVersion,
  attributes: AttributeStore,
  metadata?: Metadata,
): void {
  const { staged } = node;
  for (const { pinned } of node.handles) {
    if (pinned?.version.etag === before.etag) pinned.version = copy;
  }
  if (staged?.base?.etag === before.etag) {
    staged.base = copy;
    staged.versions.add(copy.etag);
  }
  if (node.cachedEtag === before.etag) node.cachedEtag = copy.etag;
  // A listing may have told of the copy already.
  if (node.version?.etag !== before.etag && node.version?.etag !== copy.etag) return;
  node.version = copy;
  attributes.became(node, before, copy, metadata);
}
