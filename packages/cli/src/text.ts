import type { Member } from '@keyfleet/shared/domain/state';
import { hash } from 'node:crypto';

/** Rows as aligned columns; the first row is the head. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What two people compare aloud to know that they mean the same key: the first 16 bytes of its SHA-256, in groups. */
export function fingerprintOf(...keys: readonly Uint8Array[]): string {
  const digest = hash('sha256', Buffer.concat(keys), 'hex');
  return digest.slice(0, 32).match(/.{4}/g)!.join(' ');
}

/** Covers all keys of a member, in the order of its state. */
export function memberFingerprint({ signingKey, agreementKey, encapsulationKey }: Member): string {
  return fingerprintOf(signingKey, agreementKey, ...(encapsulationKey === undefined ? [] : [encapsulationKey]));
}

export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z');
}
