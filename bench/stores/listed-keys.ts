/** Names by the thousand. */
export const LISTED = 'listed';
export const LISTED_KEYS = 10_000;
const LISTED_FOLDERS = 100;

/** 10,000 in 100 folders. */
export function listedKeys(): string[] {
  const perFolder = LISTED_KEYS / LISTED_FOLDERS;
  return Array.from({ length: LISTED_KEYS }, (_, at) => {
    const folder = String(Math.floor(at / perFolder)).padStart(3, '0');
    return `${LISTED}/d${folder}/file-${at % perFolder}`;
  });
}

/** All in one folder. */
export function flatNames(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `file-${String(at).padStart(7, '0')}`);
}

/** What is in each of them. */
export const SMALL_BODY = 'small\n';
