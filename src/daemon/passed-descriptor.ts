import { passedDescriptor } from '../fuse/linux/mount-options.ts';

/** `/dev/fd/N`: mounted by whoever started us, who passed /dev/fuse on as descriptor N. */
export function isPassedDescriptor(path: string): boolean {
  return passedDescriptor(path) !== undefined;
}
