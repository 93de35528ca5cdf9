/** Numbers of files as stat(2) shows them: made of bucket and key alone. */
import { idOf } from './attribute-records.ts';
import type { DirectoryNode, Node } from './nodes.ts';

/** st_ino of names in `parent`, without a node for each. */
export function childInos(parent: DirectoryNode): (name: string, type: Node['type']) => number {
  const directory = idOf(parent);
  return (name, type) => inoOf(`${directory}${name}${type === 'directory' ? '/' : ''}`);
}

/**
 * A hash of 53 bits, never 0: the same for a key on every mount and every machine. Two lanes of
 * FNV-1a over UTF-16 units with different offsets, each mixed at the end so that all bits count.
 */
export function inoOf(id: string): number {
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (let at = 0; at < id.length; at += 1) {
    const unit = id.charCodeAt(at);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ (unit + at), 0x85ebca6b);
  }
  low = mix(low ^ high);
  high = mix(high + low);
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0) || 1;
}

function mix(lane: number): number {
  const once = Math.imul(lane ^ (lane >>> 16), 0x7feb352d);
  const twice = Math.imul(once ^ (once >>> 15), 0x846ca68b);
  return twice ^ (twice >>> 16);
}
