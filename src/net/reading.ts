/**
 * Where the bytes of a connection go: into room that is given beforehand, so that the kernel's
 * read lands where the bytes are needed. Node allocates 64 KiB for each read otherwise, and most
 * of what a large transfer costs is that and the copy.
 */
import type { OnReadOpts, Socket } from 'node:net';

export interface Reading {
  /** Room for the next bytes, never empty; asked for after each `came`. Must not throw. */
  room(): Uint8Array;
  /** So many bytes came, from the start of the last room. Must not throw. */
  came(bytes: number): void;
}

/** `reading` as the option `onread` of `net.connect` and `tls.connect`. */
export function onReadOf(reading: Reading): OnReadOpts {
  return {
    buffer: () => reading.room(),
    callback: (bytes) => {
      reading.came(bytes);
      return true;
    },
  };
}

/** Copies what comes on a socket that could not be made with `onReadOf`: one that a proxy opened. */
export function copyInto(reading: Reading, socket: Socket): void {
  socket.on('data', (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.byteLength && !socket.destroyed) {
      const room = reading.room();
      const bytes = Math.min(room.byteLength, chunk.byteLength - at);
      room.set(chunk.subarray(at, at + bytes));
      at += bytes;
      reading.came(bytes);
    }
  });
}
