/** An entry of the list of an account's keys. The list is in the order of creation, and an entry's age shows without its record. */
export function entryOf({ createdAt, keyId }: { readonly createdAt: number; readonly keyId: string }): string {
  return `${createdAt.toString(16).padStart(12, '0')}/${keyId}`;
}
export function createdAtOf(entry: string): number {
  return Number.parseInt(entry, 16);
}
export function keyIdOf(entry: string): string {
  return entry.slice(entry.indexOf('/') + 1);
}
