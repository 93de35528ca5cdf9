/** Modes and owners: what they allow, to root and to others, and who may change them. */
import { type Check, type Checks, OTHER_USER, refuses, same, USER } from '../check.ts';
import { AT, O, OK } from '../flags.ts';
import type { SystemCalls } from '../system-calls.ts';

async function modeOf(sys: SystemCalls, path: string): Promise<number> {
  return (await sys.stat(path)).mode;
}

/** A check as an ordinary user, in a directory of theirs that others may enter. */
function asUser(check: Check): Check {
  return async (sys, place) => {
    await sys.chown('.', USER, USER);
    await sys.as(USER, async () => await check(sys, place));
  };
}

export const permissionChecks: Checks = {
  'chmod sets each permission bit': async (sys) => {
    await sys.put('f', '');
    for (const mode of [0o000, 0o777, 0o124, 0o640, 0o001, 0o400]) {
      await sys.chmod('f', mode);
      same(await modeOf(sys, 'f'), mode);
    }
  },
  'chmod sets set-user-id, set-group-id and sticky bits': async (sys) => {
    await sys.put('f', '');
    await sys.mkdir('d');
    for (const mode of [0o4755, 0o2755, 0o1755, 0o7777]) {
      await sys.chmod('f', mode);
      await sys.chmod('d', mode);
      same([await modeOf(sys, 'f'), await modeOf(sys, 'd')], [mode, mode]);
    }
  },
  'fchmod changes an open file': async (sys) => {
    const fd = await sys.create('f');
    await sys.call('fchmod', fd, 0o600);
    same([(await sys.fstat(fd)).mode, await modeOf(sys, 'f')], [0o600, 0o600]);
    await sys.close(fd);
    same(await modeOf(sys, 'f'), 0o600);
  },
  'chmod while a file is written is kept when it is closed': async (sys) => {
    const fd = await sys.create('f');
    await sys.write(fd, 'content');
    await sys.chmod('f', 0o600);
    await sys.write(fd, 'more');
    await sys.close(fd);
    same([await modeOf(sys, 'f'), await sys.text('f')], [0o600, 'contentmore']);
  },
  'chmod changes no byte and no size': async (sys) => {
    await sys.put('f', 'content');
    await sys.chmod('f', 0o600);
    same([await sys.text('f'), (await sys.stat('f')).size], ['content', 7]);
  },
  'chmod of a missing name is refused with ENOENT': async (sys) => {
    await refuses('ENOENT', sys.chmod('f', 0o600));
  },
  'a rewrite keeps the mode': async (sys) => {
    await sys.put('f', 'content', 0o751);
    await sys.put('f', 'other content');
    same(await modeOf(sys, 'f'), 0o751);
  },
  'chown sets owner and group': async (sys) => {
    await sys.put('f', '');
    await sys.chown('f', USER, OTHER_USER);
    const { uid, gid } = await sys.stat('f');
    same([uid, gid], [USER, OTHER_USER]);
  },
  'chown with -1 leaves the owner, or the group, as it is': async (sys) => {
    await sys.put('f', '');
    await sys.chown('f', USER, -1);
    await sys.chown('f', -1, OTHER_USER);
    await sys.chown('f', -1, -1);
    const { uid, gid } = await sys.stat('f');
    same([uid, gid], [USER, OTHER_USER]);
  },
  'chown of a directory and of an open file': async (sys) => {
    await sys.mkdir('d');
    await sys.chown('d', USER, USER);
    same((await sys.stat('d')).uid, USER);
    const fd = await sys.create('f');
    await sys.call('fchown', fd, USER, USER);
    await sys.close(fd);
    same((await sys.stat('f')).uid, USER);
  },
  'owners of large numbers are kept': async (sys) => {
    await sys.put('f', '');
    await sys.chown('f', 4_294_967_290, 3_000_000_000);
    const { uid, gid } = await sys.stat('f');
    same([uid, gid], [4_294_967_290, 3_000_000_000]);
  },
  'chown by the owner takes set-user-id and set-group-id away': asUser(async (sys) => {
    await sys.put('f', '');
    await sys.chmod('f', 0o6755);
    await sys.chown('f', -1, USER);
    same(await modeOf(sys, 'f'), 0o755);
  }),
  'a write by an ordinary user takes set-user-id away': asUser(async (sys) => {
    await sys.put('f', 'content');
    await sys.chmod('f', 0o6777);
    await sys.with('f', O.WRONLY, async (fd) => await sys.write(fd, 'x'));
    same(await modeOf(sys, 'f'), 0o777);
  }),
  'truncate by an ordinary user takes set-user-id away': asUser(async (sys) => {
    await sys.put('f', 'content');
    await sys.chmod('f', 0o4777);
    await sys.truncate('f', 3);
    same(await modeOf(sys, 'f'), 0o777);
  }),
  'a new file belongs to who made it': async (sys) => {
    await sys.chmod('.', 0o777);
    await sys.as(USER, async () => {
      await sys.put('f', 'content');
      await sys.mkdir('d');
    });
    const [f, d] = [await sys.stat('f'), await sys.stat('d')];
    same([f.uid, f.gid, d.uid, d.gid], [USER, USER, USER, USER]);
  },
  'a directory with set-group-id hands its group down, and the bit to directories': async (sys) => {
    await sys.mkdir('d');
    await sys.chown('d', -1, OTHER_USER);
    await sys.chmod('d', 0o2775);
    await sys.put('d/f', '');
    await sys.mkdir('d/e');
    const [f, e] = [await sys.stat('d/f'), await sys.stat('d/e')];
    same([f.gid, e.gid, e.mode], [OTHER_USER, OTHER_USER, 0o2755]);
  },
  'root reads and writes whatever the mode says': async (sys) => {
    await sys.put('f', 'content', 0o000);
    await sys.with('f', O.RDWR, async (fd) => await sys.write(fd, 'C'));
    same(await sys.text('f'), 'Content');
  },
  'a file that others may not read is refused with EACCES': async (sys) => {
    await sys.put('f', 'secret', 0o600);
    await sys.as(USER, async () => {
      await refuses('EACCES', sys.open('f', O.RDONLY));
      await refuses('EACCES', sys.open('f', O.WRONLY));
      same((await sys.stat('f')).size, 6);
    });
  },
  'a file that others may only read is opened for reading': async (sys) => {
    await sys.put('f', 'content', 0o644);
    await sys.as(USER, async () => {
      same(await sys.text('f'), 'content');
      await refuses('EACCES', sys.open('f', O.RDWR));
      await refuses('EACCES', sys.open('f', O.WRONLY | O.TRUNC));
      await refuses('EACCES', sys.open('f', O.RDONLY | O.TRUNC));
    });
    same(await sys.text('f'), 'content');
  },
  'the group of a file counts for its members': async (sys) => {
    await sys.put('f', 'content', 0o640);
    await sys.chown('f', -1, OTHER_USER);
    await sys.as(USER, async () => same(await sys.text('f'), 'content'), OTHER_USER);
    await sys.as(USER, async () => await refuses('EACCES', sys.open('f', O.RDONLY)));
  },
  'the owner is not counted among the others': asUser(async (sys) => {
    await sys.put('f', 'content', 0o077);
    await refuses('EACCES', sys.open('f', O.RDONLY));
  }),
  'a directory without the right to search hides what is in it': async (sys) => {
    await sys.mkdir('d', 0o744);
    await sys.put('d/f', 'content');
    await sys.as(USER, async () => {
      same(await sys.names('d'), ['f']);
      await refuses('EACCES', sys.stat('d/f'));
      await refuses('EACCES', sys.open('d/f', O.RDONLY));
    });
  },
  'a directory without the right to read is not listed, but entered': async (sys) => {
    await sys.mkdir('d', 0o711);
    await sys.put('d/f', 'content');
    await sys.as(USER, async () => {
      await refuses('EACCES', sys.open('d', O.RDONLY | O.DIRECTORY));
      same(await sys.text('d/f'), 'content');
    });
  },
  'a directory that others may not write refuses every change of names': async (sys) => {
    await sys.mkdir('d', 0o755);
    await sys.put('d/f', 'content', 0o666);
    await sys.mkdir('d/e', 0o777);
    await sys.as(USER, async () => {
      await refuses('EACCES', sys.create('d/g'));
      await refuses('EACCES', sys.mkdir('d/g'));
      await refuses('EACCES', sys.unlink('d/f'));
      await refuses('EACCES', sys.rmdir('d/e'));
      await refuses('EACCES', sys.rename('d/f', 'd/g'));
      await refuses('EACCES', sys.symlink('x', 'd/l'));
    });
    same(await sys.names('d'), ['e', 'f']);
  },
  'chmod of a file of somebody else is refused with EPERM': async (sys) => {
    await sys.put('f', '', 0o666);
    await sys.as(USER, async () => await refuses('EPERM', sys.chmod('f', 0o600)));
  },
  'chown to somebody else is refused to ordinary users with EPERM': asUser(async (sys) => {
    await sys.put('f', '');
    await refuses('EPERM', sys.chown('f', OTHER_USER, -1));
    await refuses('EPERM', sys.chown('f', -1, OTHER_USER));
  }),
  'utimensat with times is refused to others with EPERM, with now to nobody who may write': async (
    sys,
  ) => {
    await sys.put('f', '', 0o666);
    await sys.put('r', '', 0o644);
    await sys.as(USER, async () => {
      await refuses('EPERM', sys.utimens('f', 1n, 1n));
      await sys.utimens('f', 'now', 'now');
      await refuses('EACCES', sys.utimens('r', 'now', 'now'));
    });
  },
  'in a sticky directory nobody removes or moves files of others': async (sys) => {
    await sys.mkdir('d');
    await sys.chmod('d', 0o1777);
    await sys.as(USER, async () => {
      await sys.put('d/f', 'content', 0o666);
      await sys.mkdir('d/e');
    });
    await sys.as(OTHER_USER, async () => {
      await refuses('EPERM', sys.unlink('d/f'));
      await refuses('EPERM', sys.rename('d/f', 'd/g'));
      await refuses('EPERM', sys.rmdir('d/e'));
    });
    await sys.as(USER, async () => await sys.unlink('d/f'));
    same(await sys.names('d'), ['e']);
  },
  'in a sticky directory nobody renames over a file of another': async (sys) => {
    await sys.mkdir('d');
    await sys.chmod('d', 0o1777);
    await sys.as(USER, async () => await sys.put('d/f', 'content', 0o666));
    await sys.as(OTHER_USER, async () => {
      await sys.put('d/g', 'other');
      await refuses('EPERM', sys.rename('d/g', 'd/f'));
    });
    same(await sys.text('d/f'), 'content');
  },
  'access tells what the mode allows': async (sys) => {
    await sys.put('r', '', 0o444);
    await sys.put('x', '', 0o755);
    await sys.put('n', '', 0o000);
    await sys.as(USER, async () => {
      await sys.access('r', OK.R);
      await refuses('EACCES', sys.access('r', OK.W));
      await refuses('EACCES', sys.access('r', OK.X));
      await sys.access('x', OK.R | OK.X);
      await refuses('EACCES', sys.access('n', OK.R));
      await sys.access('n', OK.F);
    });
  },
  'access of root: everything but to run what nobody may run': async (sys) => {
    await sys.put('f', '', 0o644);
    await sys.access('f', OK.R | OK.W);
    await refuses('EACCES', sys.access('f', OK.X));
    await sys.chmod('f', 0o100);
    await sys.access('f', OK.X);
    await refuses('EINVAL', sys.call('faccessat', AT.FDCWD, 'f', 99));
  },
  'a program is run when its mode says so': async (sys, place) => {
    await sys.put('run', '#!/bin/sh\necho ran\n', 0o644);
    const end = await place.run('./run').then(
      () => 'ran',
      (error: unknown) => (error as { readonly code?: unknown }).code,
    );
    // What a shell ends with when it may not run a program.
    same(end, 126);
    await sys.chmod('run', 0o755);
    same(await place.run('./run'), 'ran\n');
  },
  'a file that was opened stays usable when its mode changes': async (sys) => {
    await sys.chmod('.', 0o777);
    await sys.as(USER, async () => {
      const fd = await sys.create('f');
      await sys.call('fchmod', fd, 0);
      await sys.write(fd, 'content');
      same((await sys.pread(fd, 100, 0)).toString(), 'content');
      await sys.close(fd);
    });
  },
};
