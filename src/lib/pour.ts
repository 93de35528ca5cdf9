/** Room for bytes that come one after the other: `room()` for the next, `filled(n)` of it used. */
export interface Rooms {
  room(): Uint8Array;
  filled(bytes: number): void;
}

/** Copies `bytes` into `rooms`. */
export function pour(bytes: Uint8Array, rooms: Rooms): void {
  let at = 0;
  while (at < bytes.byteLength) {
    const room = rooms.room();
    const taken = Math.min(room.byteLength, bytes.byteLength - at);
    if (taken === 0) throw new Error('a sink without room');
    room.set(bytes.subarray(at, at + taken));
    rooms.filled(taken);
    at += taken;
  }
}
