/** The path of a node, for people: keys are `placeOf` and `filePlaceOf`. */
import type { Node } from './nodes.ts';

/** From the root of the mount on, '' for the root itself; undefined once it has no name. */
export function pathOf(node: Node): string | undefined {
  const parts: string[] = [];
  for (let at: Node = node; at.parent !== undefined; at = at.parent) {
    parts.push(at.name);
  }
  const isNamed = !node.removed && !node.unlinked;
  return isNamed ? parts.reverse().join('/') : undefined;
}
