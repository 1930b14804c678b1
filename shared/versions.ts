/** Versions of a protocol or format that one program knows: all from `oldest` to `newest`. */
export interface VersionRange {
  readonly oldest: number;
  readonly newest: number;
}

/**
 * Versions of the wire protocol that this program speaks. A new one is added when a message changes its meaning or a new one
 * is needed; the one before stays for at least one release, so that neighbouring releases work together.
 */
export const PROTOCOL: VersionRange = { oldest: 1, newest: 1 };

/** The newest version that both know, or null. */
export function commonVersion(mine: VersionRange, theirs: VersionRange): number | null {
  const newest = Math.min(mine.newest, theirs.newest);
  return newest >= Math.max(mine.oldest, theirs.oldest) ? newest : null;
}

/** Who has to be upgraded where two have no version in common, for an error message. */
export function versionConflict(
  mine: VersionRange & { readonly name: string },
  theirs: VersionRange & { readonly name: string },
): string {
  const older = mine.newest < theirs.newest ? mine : theirs;
  const speaks = ({ oldest, newest }: VersionRange) => (oldest === newest ? `${newest}` : `${oldest} to ${newest}`);
  return `${theirs.name} speaks protocol ${speaks(theirs)}, ${mine.name} ${speaks(mine)}: upgrade ${older.name}`;
}
