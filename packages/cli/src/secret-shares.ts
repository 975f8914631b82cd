import { hash, randomBytes } from 'node:crypto';
import { combine, split } from 'shamir-secret-sharing';
import { CliError } from './cli-error.ts';

/**
 * A secret of 32 random bytes in n parts: any k restore it, and fewer reveal nothing about it (Shamir, over GF(2^8)). A
 * share is one printable line: its owner, k, the id of its split, the share, and a checksum against mistyping. Lines
 * printed before splits had an id lack it.
 */
const pattern = /^keyfleet-share:([A-Za-z0-9._@-]+):(\d+):(?:([0-9a-f]{8}):)?([A-Za-z0-9_-]{44}):([0-9a-f]{8})$/;
const MAX_SHARES = 255;

/** base64url, to be used like a passphrase. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Identifies a split, so that the shares of two cannot be mixed. `salt`: of the file that the secret opens; every file
 * has its own.
 */
export function splitIdOf(salt: Uint8Array): string {
  return hash('sha256', salt, 'hex').slice(0, 8);
}

interface Split {
  /** The member that the secret belongs to. */
  readonly owner: string;
  readonly splitId: string;
  readonly n: number;
  readonly k: number;
}

/** Throws CliError for impossible numbers. */
export async function splitSecret(secret: string, { owner, splitId, n, k }: Split): Promise<string[]> {
  if (!Number.isInteger(n) || !Number.isInteger(k) || k < 2 || n < k || n > MAX_SHARES) {
    throw new CliError(`--threshold must be from 2 to the number of --shares, and that at most ${MAX_SHARES}.`, {
      exitCode: 2,
    });
  }
  const shares = await split(Uint8Array.from(Buffer.from(secret, 'base64url')), n, k);
  return shares.map((share) => {
    const line = `keyfleet-share:${owner}:${k}:${splitId}:${Buffer.from(share).toString('base64url')}`;
    return `${line}:${checkOf(line)}`;
  });
}

/**
 * `splitId`: that of the file that the secret must open. Throws a CliError that says which share is damaged, or what is
 * missing. Shares without a split id that come from two splits yield a wrong secret.
 */
export async function combineSecret(lines: readonly string[], splitId: string): Promise<string> {
  const parsed = lines.map((line, i) => parseShare(line, i + 1));
  if (new Set(parsed.map(({ set }) => set)).size !== 1) throw new CliError('these shares do not belong together.');
  if ((parsed[0]!.splitId ?? splitId) !== splitId) throw new CliError('these shares belong to another file.');
  const shares = [...new Set(parsed.map(({ share }) => share))];
  const needed = parsed[0]!.k;
  if (shares.length < needed) throw new CliError(`${needed} different shares are needed; ${shares.length} were given.`);
  const secret = await combine(shares.map((share) => Uint8Array.from(Buffer.from(share, 'base64url'))));
  return Buffer.from(secret).toString('base64url');
}

interface Share {
  /** The same for all shares of one split. */
  readonly set: string;
  readonly k: number;
  readonly splitId: string | undefined;
  readonly share: string;
}

function parseShare(line: string, number: number): Share {
  const text = line.trim();
  const [, owner, k, splitId, share, check] = pattern.exec(text) ?? [];
  if (share === undefined || check !== checkOf(text.slice(0, -9))) {
    throw new CliError(`share ${number} is damaged, or not a share: compare it with the paper, letter by letter.`);
  }
  return { set: `${owner}:${k}:${splitId}`, k: Number(k), splitId, share };
}

function checkOf(line: string): string {
  return hash('sha256', line, 'hex').slice(0, 8);
}
