// The only place outside an hsm-worker that opens a member (docs/decisions/0005-the-cli-is-an-offline-member.md).
import {
  newOfflineMember,
  type OfflineMember,
  offlineMemberSalt,
  openOfflineMember,
} from '@keyfleet/hsm-worker/boundary/offline-member';
import { systemClock } from '@keyfleet/shared/clock';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { Member } from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CliError } from './cli-error.ts';
import { listOf, passphraseOf, passphraseOptions } from './options.ts';
import { combineSecret, splitIdOf } from './secret-shares.ts';
import { readTextFile, replaceFile } from './signing-keys.ts';
import type { Terminal } from './terminal.ts';

export const offlineMemberOptions = {
  'offline-member': { type: 'string', description: 'File of the offline member.', valueHint: 'FILE', required: true },
  shares: { type: 'string', description: 'Files with shares of its secret, comma-separated.', valueHint: 'FILES' },
  ...passphraseOptions,
} as const;

interface OfflineMemberArgs {
  readonly 'offline-member': string;
  readonly shares?: string | undefined;
  readonly 'passphrase-file'?: string | undefined;
}

export function makeOfflineMember(memberId: string, anchor: TrustAnchor, passphrase: string): OfflineMember {
  return newOfflineMember(memberId, { anchor, passphrase, clock: systemClock, random: randomBytes });
}

/** Asks for the passphrase unless it is in a file or in shares. Throws CliError. */
export async function loadOfflineMember(
  args: OfflineMemberArgs,
  anchor: TrustAnchor,
  terminal: Terminal,
): Promise<OfflineMember> {
  const path = args['offline-member'];
  const file = readBytes(path);
  const shares = listOf(args.shares);
  const passphrase =
    shares.length > 0
      ? await combineSecret(shares.map(readTextFile), splitIdOfFile(file, path))
      : await passphraseOf(args, terminal, `Passphrase of ${path}`);
  return openMember(file, { path, anchor, passphrase });
}

/** Throws CliError. */
export function openMember(
  file: Uint8Array,
  { path, anchor, passphrase }: { path: string; anchor: TrustAnchor; passphrase: string },
): OfflineMember {
  return opening(path, () => openOfflineMember(file, { anchor, passphrase, clock: systemClock, random: randomBytes }));
}

/** The id that marks the shares of this file's secret. Throws CliError. */
export function splitIdOfFile(file: Uint8Array, path: string): string {
  return splitIdOf(opening(path, () => offlineMemberSalt(file)));
}

function opening<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof DomainError)) throw cause;
    const reason = cause.code === 'cannot-open' ? 'wrong passphrase or shares, or a damaged file' : cause.message;
    throw new CliError(`cannot open the offline member ${path}: ${reason}.`, { cause });
  }
}

export function publicPartOf({ hsm }: OfflineMember): Member {
  const { memberId, signingKey, agreementKey, encapsulationKey } = hsm.describe();
  return { memberId, signingKey, agreementKey, ...(encapsulationKey && { encapsulationKey }), offline: true };
}

/**
 * Has it install one token after the other: so it compares the domain keys of each with those of the one before, as a
 * worker does that was always there. Throws CliError.
 */
export function installChain({ hsm }: OfflineMember, tokens: readonly Uint8Array[]): void {
  const known = Math.min(hsm.state?.generation ?? 1, tokens.length);
  for (let generation = known; generation <= tokens.length; generation++) {
    try {
      // With the one before: it is asked to open that too, if it has no keys yet.
      hsm.install(tokens.slice(Math.max(generation - 2, 0), generation));
    } catch (cause) {
      if (!(cause instanceof DomainError)) throw cause;
      throw new CliError(`${hsm.memberId} refuses domain token ${generation}: ${cause.message}`, { cause });
    }
  }
}

/** Stores the newest domain token that the member has seen, so that it never accepts an older one. */
export function saveOfflineMember(path: string, member: OfflineMember): void {
  replaceFile(path, member.file());
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CliError(`cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}).`, { cause });
  }
}
