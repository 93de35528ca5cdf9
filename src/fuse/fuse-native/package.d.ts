/** What is used of the npm package fuse-native 2.2.6, which brings no types (its `index.js`). */
declare module 'fuse-native' {
  /** 0, a count (read, write) or a negative errno; then the result. */
  export type Reply = (code: number, ...result: readonly unknown[]) => void;

  export interface Options {
    /** Milliseconds after which it answers ETIMEDOUT by itself; false: never. */
    readonly timeout: false | number;
    readonly allowOther: boolean;
    readonly defaultPermissions: boolean;
    readonly fsname: string;
    readonly subtype: string;
  }

  export default class Fuse {
    constructor(
      mountPoint: string,
      operations: Readonly<Record<string, (...args: never[]) => void>>,
      options: Options,
    );
    mount(done: (error: Error | null) => void): void;
    /** Takes the mount out of sight (`fusermount -uz`, by a shell). */
    unmount(done: (error: Error | null) => void): void;
  }
}
