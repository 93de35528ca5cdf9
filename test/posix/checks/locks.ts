/** flock(2) and the locks of fcntl(2), between handles and between processes. */
import { type Checks, refuses, same } from '../check.ts';
import { F, LOCK, O } from '../flags.ts';

const whole = { start: 0, length: 0 } as const;
const write = { type: 'write', ...whole } as const;
const read = { type: 'read', ...whole } as const;
const none = { type: 'none', ...whole } as const;

/** POSIX lets both stand for a lock that is held. */
const held = ['EAGAIN', 'EACCES'];

export const lockChecks: Checks = {
  'flock by one keeps another out': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.call('flock', a, LOCK.EX);
    await refuses('EAGAIN', other.call('flock', b, LOCK.EX | LOCK.NB));
    await refuses('EAGAIN', other.call('flock', b, LOCK.SH | LOCK.NB));
    await sys.call('flock', a, LOCK.UN);
    await other.call('flock', b, LOCK.EX | LOCK.NB);
  },
  'shared flocks stand together': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDONLY), await other.open('f', O.RDONLY)];
    await sys.call('flock', a, LOCK.SH | LOCK.NB);
    await other.call('flock', b, LOCK.SH | LOCK.NB);
    await refuses('EAGAIN', sys.call('flock', a, LOCK.EX | LOCK.NB));
  },
  'two handles of one process keep each other out with flock': async (sys) => {
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDWR), await sys.open('f', O.RDWR)];
    await sys.call('flock', a, LOCK.EX);
    await refuses('EAGAIN', sys.call('flock', b, LOCK.EX | LOCK.NB));
    await sys.close(a);
    await sys.call('flock', b, LOCK.EX | LOCK.NB);
  },
  'a duplicate holds the flock with its original': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    const copy = await sys.call('dup', a);
    await sys.call('flock', a, LOCK.EX);
    await sys.close(a);
    await refuses('EAGAIN', other.call('flock', b, LOCK.EX | LOCK.NB));
    await sys.close(copy);
    await other.call('flock', b, LOCK.EX | LOCK.NB);
  },
  'a process that is killed lets its flock go': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await other.call('flock', b, LOCK.EX);
    await refuses('EAGAIN', sys.call('flock', a, LOCK.EX | LOCK.NB));
    await other.kill();
    await sys.call('flock', a, LOCK.EX);
  },
  'flock waits until the other lets go': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.call('flock', a, LOCK.EX);
    let taken = false;
    const waiting = other.call('flock', b, LOCK.EX).then(() => (taken = true));
    await sys.tick();
    same(taken, false);
    await sys.call('flock', a, LOCK.UN);
    await waiting;
    await refuses('EAGAIN', sys.call('flock', a, LOCK.EX | LOCK.NB));
  },
  'an flock can be made stricter and looser': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.call('flock', a, LOCK.SH | LOCK.NB);
    await sys.call('flock', a, LOCK.EX | LOCK.NB);
    await refuses('EAGAIN', other.call('flock', b, LOCK.SH | LOCK.NB));
    await sys.call('flock', a, LOCK.SH | LOCK.NB);
    await other.call('flock', b, LOCK.SH | LOCK.NB);
  },
  'flock of a directory': async (sys, place) => {
    const other = await place.another();
    await sys.mkdir('d');
    const [a, b] = [await sys.open('d', O.RDONLY), await other.open('d', O.RDONLY)];
    await sys.call('flock', a, LOCK.EX | LOCK.NB);
    await refuses('EAGAIN', other.call('flock', b, LOCK.EX | LOCK.NB));
  },
  'flock with a word that is none is refused with EINVAL': async (sys) => {
    const fd = await sys.create('f');
    await refuses('EINVAL', sys.call('flock', fd, 0));
    await sys.close(fd);
    await refuses('EBADF', sys.call('flock', fd, LOCK.EX));
  },
  'a POSIX lock keeps another process out': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, write);
    await refuses(held, other.lock(b, F.SETLK, write));
    await refuses(held, other.lock(b, F.SETLK, read));
    await sys.lock(a, F.SETLK, none);
    await other.lock(b, F.SETLK, write);
  },
  'POSIX locks of one process do not keep it out': async (sys) => {
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await sys.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, write);
    await sys.lock(b, F.SETLK, write);
  },
  'POSIX locks for reading stand together': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, read);
    await other.lock(b, F.SETLK, read);
    await refuses(held, sys.lock(a, F.SETLK, write));
  },
  'POSIX locks of parts that do not meet stand together': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, { type: 'write', start: 0, length: 10 });
    await other.lock(b, F.SETLK, { type: 'write', start: 10, length: 10 });
    await refuses(held, other.lock(b, F.SETLK, { type: 'write', start: 9, length: 1 }));
    await refuses(held, sys.lock(a, F.SETLK, { type: 'read', start: 0, length: 11 }));
  },
  'a part of a POSIX lock is let go': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, { type: 'write', start: 0, length: 100 });
    await sys.lock(a, F.SETLK, { type: 'none', start: 40, length: 20 });
    await other.lock(b, F.SETLK, { type: 'write', start: 40, length: 20 });
    await refuses(held, other.lock(b, F.SETLK, { type: 'write', start: 39, length: 1 }));
    await refuses(held, other.lock(b, F.SETLK, { type: 'write', start: 60, length: 1 }));
  },
  'F_GETLK tells of the lock that is in the way': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    same(await other.lock(b, F.GETLK, write), 'none');
    await sys.lock(a, F.SETLK, read);
    same(await other.lock(b, F.GETLK, write), 'read');
    same(await other.lock(b, F.GETLK, read), 'none');
  },
  'closing any descriptor of the file lets the POSIX locks of the process go': async (
    sys,
    place,
  ) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, write);
    await sys.close(await sys.open('f', O.RDONLY));
    await other.lock(b, F.SETLK, write);
  },
  'a process that is killed lets its POSIX locks go': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await other.lock(b, F.SETLK, write);
    await refuses(held, sys.lock(a, F.SETLK, write));
    await other.kill();
    await sys.lock(a, F.SETLKW, write);
  },
  'F_SETLKW waits until the other lets go': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    await sys.lock(a, F.SETLK, write);
    let taken = false;
    const waiting = other.lock(b, F.SETLKW, write).then(() => (taken = true));
    await sys.tick();
    same(taken, false);
    await sys.lock(a, F.SETLK, none);
    await waiting;
  },
  'two processes that wait for each other are told: EDEADLK': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await other.open('f', O.RDWR)];
    const [first, second] = [
      { type: 'write', start: 0, length: 1 },
      { type: 'write', start: 1, length: 1 },
    ] as const;
    await sys.lock(a, F.SETLK, first);
    await other.lock(b, F.SETLK, second);
    const waiting = sys.lock(a, F.SETLKW, second);
    await other.tick();
    await refuses('EDEADLK', other.lock(b, F.SETLKW, first));
    await other.lock(b, F.SETLK, none);
    await waiting;
  },
  'a POSIX lock for writing needs a handle for writing': async (sys) => {
    await sys.put('f', 'content');
    await sys.with('f', O.RDONLY, async (fd) => {
      await refuses('EBADF', sys.lock(fd, F.SETLK, write));
      await sys.lock(fd, F.SETLK, read);
    });
    await sys.with('f', O.WRONLY, async (fd) => {
      await refuses('EBADF', sys.lock(fd, F.SETLK, read));
    });
  },
  'locks of open file descriptions keep two handles of one process apart': async (sys) => {
    await sys.put('f', 'content');
    const [a, b] = [await sys.open('f', O.RDWR), await sys.open('f', O.RDWR)];
    await sys.lock(a, F.OFD_SETLK, write);
    await refuses(held, sys.lock(b, F.OFD_SETLK, write));
    same(await sys.lock(b, F.OFD_GETLK, write), 'write');
    await sys.close(a);
    await sys.lock(b, F.OFD_SETLK, write);
  },
  'a lock is on the file, whatever name it has': async (sys, place) => {
    const other = await place.another();
    await sys.put('f', '');
    const a = await sys.open('f', O.RDWR);
    await sys.call('flock', a, LOCK.EX);
    await sys.rename('f', 'g');
    const b = await other.open('g', O.RDWR);
    await refuses('EAGAIN', other.call('flock', b, LOCK.EX | LOCK.NB));
    await sys.put('f', 'another file');
    const c = await other.open('f', O.RDWR);
    await other.call('flock', c, LOCK.EX | LOCK.NB);
  },
};
