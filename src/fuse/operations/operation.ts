import { FsError } from '../../fs/errno.ts';
import type { FileSystem, MaybePromise } from '../../fs/filesystem.ts';
import type { Passthrough } from '../passthrough.ts';
import type { PendingRequest } from '../pending-request.ts';
import type { RequestCursor } from '../protocol/cursor.ts';
import type { ReplyForm } from '../reply-form.ts';

/** What an operation needs of the session. */
export interface Exchange {
  readonly fileSystem: FileSystem;
  /** Undefined where the kernel never serves a file itself. */
  readonly passthrough: Passthrough | undefined;
  /** Answers `request` with `result`, now or when it settles. */
  settle<T>(request: PendingRequest, result: MaybePromise<T>, form: ReplyForm<T>): void;
  /** Whether a payload of `bytes` must be kept until others are done: then `postpone`. */
  mustWait(bytes: number): boolean;
  /** Runs `start` once there is room for `request.keptBytes`; never if it is interrupted before. */
  postpone(request: PendingRequest, start: () => void): void;
}

/** Reads all it needs of `input` before it returns. */
export type Run = (exchange: Exchange, request: PendingRequest, input: RequestCursor) => void;

/** Made once: what the file system has not; the kernel asks no more, or makes do. */
export const notImplemented: FsError = new FsError('ENOSYS', 'use an operation that is not there');
/** symlink(2), link(2) and mknod(2) say EPERM on a file system without such things. */
export const notPermitted: FsError = new FsError('EPERM', 'make a link or a special file');
