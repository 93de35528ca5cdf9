/**
 * What a process tells Prometheus of itself and its mounts. docs/OBSERVING.md lists every family; a
 * test compares them. Names of objects and people, tokens and keys are in none of it: a mount is
 * named by its mount point and its source, which the kernel's table of mounts shows to everybody.
 */
import { MetricsText } from './metrics-text.ts';
import type { MountStatus } from './mount.ts';
import type { MountWatch } from './mount-watch.ts';

export interface WatchedMount {
  readonly status: MountStatus;
  readonly watch: MountWatch;
}

export interface ProcessFigures {
  readonly version: string;
  readonly startedMs: number;
  readonly residentBytes: number;
  /** User and system. */
  readonly cpuSeconds: number;
  /** Lines that could not be written. */
  readonly auditFailures: number;
  readonly accessDropped: number;
}

/** What the system knows of this process, added to what is given. */
export function processFigures(
  known: Omit<ProcessFigures, 'residentBytes' | 'cpuSeconds'>,
): ProcessFigures {
  const { user, system } = process.cpuUsage();
  const residentBytes = process.memoryUsage.rss();
  return { ...known, residentBytes, cpuSeconds: (user + system) / 1e6 };
}

export function metricsText(process: ProcessFigures, mounts: readonly WatchedMount[]): string {
  const text = new MetricsText();
  addProcess(text, process, mounts);
  for (const { status } of mounts) addState(text, status);
  for (const { status } of mounts) addContent(text, status);
  for (const mount of mounts) addOperations(text, mount);
  for (const mount of mounts) addRequests(text, mount);
  return text.toString();
}

function addProcess(
  text: MetricsText,
  process: ProcessFigures,
  mounts: readonly WatchedMount[],
): void {
  const { version, startedMs, residentBytes, cpuSeconds } = process;
  text.gauge('wire_build_info', 'The version of wire; always 1.', 1, { version });
  text.gauge('wire_start_time_seconds', 'When the process began.', startedMs / 1000);
  text.gauge('wire_resident_memory_bytes', 'Memory of the process.', residentBytes);
  text.counter('wire_cpu_seconds_total', 'CPU time of the process.', cpuSeconds);
  text.gauge('wire_mounts', 'Mounts that the process serves.', mounts.length);
  const reading = mounts.find(({ status }) => status.reading !== undefined)?.status.reading;
  text.gauge(
    'wire_cache_memory_bytes',
    'Content in memory, of all mounts of the process.',
    reading?.memoryBytes,
  );
  text.counter(
    'wire_audit_failures_total',
    'Changes that the audit log could not take.',
    process.auditFailures,
  );
  text.counter(
    'wire_access_log_dropped_total',
    'Operations that the access log could not take.',
    process.accessDropped,
  );
}

function addState(text: MetricsText, status: MountStatus): void {
  const { mountPoint: mount, source, endpoint, state, credentialsUntilMs, degraded } = status;
  const at = { mount };
  text.gauge('wire_mount_info', 'What is mounted where; always 1.', 1, {
    ...at,
    source,
    endpoint,
    access: status.readOnly ? 'read-only' : 'read-write',
  });
  text.gauge(
    'wire_mount_ready',
    'Whether it serves and is not about to end.',
    state === 'ready' ? 1 : 0,
    at,
  );
  text.gauge(
    'wire_mount_degraded',
    'Whether its credentials cannot be renewed just now.',
    degraded === undefined ? 0 : 1,
    at,
  );
  text.gauge(
    'wire_credentials_expiry_timestamp_seconds',
    'When its temporary credentials end.',
    credentialsUntilMs === undefined ? undefined : credentialsUntilMs / 1000,
    at,
  );
  text.gauge('wire_open_handles', 'Open files and folders.', status.openHandles, at);
  text.gauge(
    'wire_unsaved_files',
    'Files with changes that the bucket does not have.',
    status.unsavedFiles,
    at,
  );
  text.gauge('wire_unsaved_bytes', 'Their length.', status.unsavedBytes, at);
  text.gauge('wire_uploads', 'Files on their way to the bucket.', status.uploads, at);
  text.gauge(
    'wire_failed_saves',
    'Latest saves that failed and were not made up for; ten at most.',
    status.failures.length,
    at,
  );
  addJournal(text, status, at);
}

function addJournal(
  text: MetricsText,
  { writeBack }: MountStatus,
  at: { readonly mount: string },
): void {
  if (writeBack === undefined) return;
  text.gauge('wire_journal_files', 'Files that only the journal has for now.', writeBack.files, at);
  text.gauge('wire_journal_bytes', 'Their length.', writeBack.bytes, at);
  text.gauge(
    'wire_journal_oldest_timestamp_seconds',
    'When the oldest of them was closed.',
    writeBack.oldestMs === undefined ? undefined : writeBack.oldestMs / 1000,
    at,
  );
}

function addContent(text: MetricsText, { mountPoint: mount, reading }: MountStatus): void {
  if (reading === undefined) return;
  const reads = 'Reads by programs, by whether memory had the answer.';
  text.counter('wire_cache_reads_total', reads, reading.hits, { mount, result: 'hit' });
  text.counter('wire_cache_reads_total', reads, reading.misses, { mount, result: 'miss' });
  const bytes = 'Bytes of content, by where they came from.';
  text.counter('wire_content_bytes_total', bytes, reading.fetchedBytes, { mount, from: 'store' });
  text.counter('wire_content_bytes_total', bytes, reading.diskBytes, { mount, from: 'disk' });
}

function addOperations(text: MetricsText, { status, watch }: WatchedMount): void {
  const mount = status.mountPoint;
  const { readBytes, writtenBytes, all } = watch.operations;
  const bytes = 'Bytes that programs read and wrote through the mount.';
  text.counter('wire_fuse_bytes_total', bytes, readBytes, { mount, direction: 'read' });
  text.counter('wire_fuse_bytes_total', bytes, writtenBytes, { mount, direction: 'written' });
  for (const { name, times, errors } of all) {
    const operation = name.toLowerCase();
    text.histogram(
      'wire_fuse_operation_duration_seconds',
      'Operations of programs, from the request of the kernel to the reply.',
      times,
      { mount, operation },
    );
    for (const [errno, count] of errors) {
      const help = 'Operations that were refused, by errno; ENOENT of a lookup is an answer, too.';
      text.counter('wire_fuse_errors_total', help, count, { mount, operation, errno });
    }
  }
}

function addRequests(text: MetricsText, { status, watch }: WatchedMount): void {
  const mount = status.mountPoint;
  const { sent, received, all } = watch.requests;
  const bytes = 'Bytes of content to and from the store.';
  text.counter('wire_store_bytes_total', bytes, sent.total, { mount, direction: 'sent' });
  text.counter('wire_store_bytes_total', bytes, received.total, { mount, direction: 'received' });
  for (const { name: request, times, errors } of all) {
    text.histogram(
      'wire_store_request_duration_seconds',
      'Requests of the store, with all their tries.',
      times,
      { mount, request },
    );
    for (const [kind, count] of errors) {
      const help = 'Requests of the store that came to nothing, by the kind of failure.';
      text.counter('wire_store_errors_total', help, count, { mount, request, kind });
    }
  }
}
