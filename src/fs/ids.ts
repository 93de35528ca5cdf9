declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** Identifies a file to the kernel from LOOKUP to FORGET; 1 is the root. Never reused (no generation needed). */
export type InodeNumber = Branded<number, 'InodeNumber'>;
/** Identifies one open(2) from OPEN to RELEASE. Never reused. */
export type HandleId = Branded<number, 'HandleId'>;

export const ROOT_INODE = 1 as InodeNumber;
