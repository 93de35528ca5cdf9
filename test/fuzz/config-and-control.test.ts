/** The configuration file and the words of the control socket, damaged. */
import { describe, expect } from 'vitest';
import { parseConfig, readConfig } from '../../src/config/load.ts';
import {
  readFilesLine,
  readFilesRequest,
  readProcessStatus,
  readRefusal,
  readUnmountRequest,
} from '../../src/daemon/control-protocol.ts';
import { WireError } from '../../src/lib/wire-error.ts';
import { fuzz, orRefused } from './fuzzing.ts';

const isWireError = (error: unknown): boolean => error instanceof WireError;

const config = `profiles:
  work:
    issuer: https://iam.example.org/
    endpoint: https://s3.example.org
    audience: wire-s3
    memory: 256m
    mounts:
      data:
        source: s3://data/2024
        mountpoint: ~/data
        read-only: true
      scratch: {source: "s3://scratch", mountpoint: /mnt/scratch, write-back: on}
  default: &base
    endpoint: http://127.0.0.1:9000
`;

describe('a configuration that is damaged', () => {
  fuzz('is a configuration, or every fault of it in words', {
    name: 'config',
    seeds: [config, 'profiles: {}\n', ''],
    read: (document) => {
      const text = document.toString('utf8');
      const { faults } = readConfig(text, '/c', '/home/a');
      const isTyped = (error: unknown): boolean =>
        error instanceof WireError && error.kind === 'config';
      const read = orRefused(() => parseConfig(text, '/c', '/home/a'), isTyped);
      expect(read === undefined).toBe(faults.length > 0);
    },
  });
});

const status = {
  pid: 7,
  version: '1',
  startedMs: 1,
  mounts: [{ mountPoint: '/m', source: 's3://b', state: 'ready' }],
};

describe('words of the control socket that are damaged', () => {
  fuzz('are what they should be, or refused', {
    name: 'control',
    seeds: [
      '{"mountPoint":"/m","lazy":false}',
      '{"verb":"warm","mountPoint":"/m","path":["a","b"]}',
      '{"progress":{"files":1,"bytes":2,"totalBytes":3}}',
      '{"refusal":{"kind":"usage","facts":{"tried":"a","answered":"b","next":"c"}}}',
      JSON.stringify(status),
    ],
    read: (document) => {
      const text = document.toString('utf8');
      const unmount = orRefused(() => readUnmountRequest(text), isWireError);
      if (unmount !== undefined) expect(typeof unmount.mountPoint).toBe('string');
      const files = orRefused(() => readFilesRequest(text), isWireError);
      for (const part of files?.path ?? []) expect(typeof part).toBe('string');
      const line = orRefused(() => readFilesLine(text), isWireError);
      if (line !== undefined) expect(typeof line.progress.bytes).toBe('number');
      const found = orRefused(() => readProcessStatus(text), isWireError);
      for (const mount of found?.mounts ?? []) expect(typeof mount.mountPoint).toBe('string');
      expect(readRefusal(text)).toBeInstanceOf(WireError);
    },
  });
});
