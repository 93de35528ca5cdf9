/** What a mount has to say of itself. */
import type { FileSystemParts } from './parts.ts';
import type { ReaderFigures } from './reader.ts';
import type { SaveFailure } from './save-failures.ts';
import type { WriteBackFigures } from './write-back.ts';

/** What `wire status` shows of a mount's files. */
export interface FileSystemState {
  /** Handles of files and directories. */
  readonly openHandles: number;
  /** Files with changes that are not in the bucket yet, and their length. */
  readonly unsavedFiles: number;
  readonly unsavedBytes: number;
  readonly uploads: number;
  readonly failures: readonly SaveFailure[];
  readonly reading: ReaderFigures;
  /** How far the bucket is behind what closes were told is safe. */
  readonly writeBack: WriteBackFigures;
}

export function stateOf(parts: FileSystemParts): FileSystemState {
  const { handles, reader, uploader, writer, writeBack } = parts;
  const unsaved = [...writer.unsaved()];
  return {
    openHandles: handles.size,
    unsavedFiles: unsaved.length,
    unsavedBytes: unsaved.reduce((bytes, { staged }) => bytes + (staged?.bytes ?? 0), 0),
    uploads: uploader.running,
    reading: reader.figures,
    failures: [...writer.failures],
    writeBack: writeBack.figures,
  };
}
