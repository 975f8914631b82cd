import { ivLength } from '@keyfleet/shared/encoding/aead';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { entityId } from '@keyfleet/shared/domain/state';
import type { Refusal } from '@keyfleet/shared/hsm/refusals';
import { z } from 'zod';
import type { Random } from '../crypto/random.ts';
import { RefusedError } from '../errors.ts';
import { newSealKey, type SealKey, sealKeyLength, type WrappedSealKey } from '../seal-key.ts';
import { TokenProcess, type TokenProcessOptions } from './token-process.ts';
import type { EncryptedInToken, KeyCount } from './token-session.ts';

export interface SealTokenOptions extends TokenProcessOptions {
  /** The label of the AES key in the token. */
  readonly keyLabel: string;
  /** Whose identity is sealed. */
  readonly memberId: string;
  readonly random: Random;
}

/** Why a token brings no seal key: one sentence for whoever runs the worker. */
export class SealTokenError extends Error {
  override name = 'SealTokenError';
}

/** The associated data of a seal key in the token's hands: another member's does not open in its place. */
export const SealKeyContext = defineFormat('keyfleet/token-seal-key/1', z.object({ memberId: entityId }));

/**
 * A fresh seal key that only this token can bring back. Makes the token's key if no key has its label. Overwrites
 * `pin`. Throws SealTokenError.
 */
export function newTokenSealKey(options: SealTokenOptions, pin: Uint8Array): Promise<SealKey> {
  return withToken(options, pin, async (token) => {
    const { keyLabel: label, random } = options;
    if ((await countKeys(token, label)).all === 0) await token.ask({ name: 'generateKey', label });
    await assertOneKey(token, label);
    const plaintext = random(sealKeyLength);
    const work = {
      name: 'encrypt',
      label,
      iv: random(ivLength),
      associatedData: contextOf(options),
      plaintext,
    } as const;
    const wrapped = (await token.ask(work)) as EncryptedInToken;
    plaintext.fill(0);
    // What seals is what the token will bring back at the next start.
    return opened(token, options, wrapped);
  });
}

/** The seal key of an identity. Makes nothing. Overwrites `pin`. Throws SealTokenError. */
export function openTokenSealKey(
  options: SealTokenOptions,
  pin: Uint8Array,
  wrapped: WrappedSealKey,
): Promise<SealKey> {
  return withToken(options, pin, async (token) => {
    await assertOneKey(token, options.keyLabel);
    return opened(token, options, wrapped);
  });
}

/** The process, and with it the login, ends with `use`. */
async function withToken<T>(
  options: SealTokenOptions,
  pin: Uint8Array,
  use: (token: TokenProcess) => Promise<T>,
): Promise<T> {
  using token = new TokenProcess(options);
  try {
    await token.login(pin);
    return await use(token);
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    throw new SealTokenError(sentenceOf(error, options), { cause: error });
  } finally {
    pin.fill(0);
  }
}

async function opened(token: TokenProcess, options: SealTokenOptions, wrapped: WrappedSealKey): Promise<SealKey> {
  const work = { name: 'decrypt', label: options.keyLabel, associatedData: contextOf(options), ...wrapped } as const;
  const bytes = (await token.ask(work)) as Uint8Array;
  try {
    return newSealKey(bytes, options.random, wrapped);
  } finally {
    bytes.fill(0);
  }
}

function contextOf({ memberId }: SealTokenOptions): Buffer {
  return SealKeyContext.encode({ memberId });
}

async function countKeys(token: TokenProcess, label: string): Promise<KeyCount> {
  return (await token.ask({ name: 'countKeys', label })) as KeyCount;
}

async function assertOneKey(token: TokenProcess, label: string): Promise<void> {
  const { all, kept } = await countKeys(token, label);
  if (all === 0) throw new RefusedError('no-cluster-key');
  if (all > 1) {
    throw new SealTokenError(`several keys in the token are called "${label}": remove all but the one that seals`);
  }
  if (kept !== all) {
    throw new SealTokenError(`the token's key "${label}" is no AES-256 key that stays in the token: remove it`);
  }
}

const sentences: Partial<Record<Refusal, string>> = {
  'cluster-password': 'the token refuses the PIN, and may lock its user after some such tries: correct pinFile',
  'cluster-user-locked': 'the token has locked its user after wrong PINs: unlock it there',
  'cluster-user-logged-in': 'the token says that another user is logged in',
  'no-cluster-user': 'the token has no user PIN yet: set one there',
  'cluster-sessions': 'the token has no free session',
};

function sentenceOf({ refusal, cause }: RefusedError, { module, token, keyLabel }: SealTokenOptions): string {
  if (refusal === 'no-cluster-key') {
    return `the token has no key "${keyLabel}" any more, and without it the identity is lost: restore the token`;
  }
  if (refusal === 'cannot-open') return `the token's key "${keyLabel}" is not the one that sealed this identity`;
  const name = Object.values(token).filter(Boolean).join(', ');
  return (
    sentences[refusal] ??
    `the module ${module} does not reach its token "${name}": ${cause instanceof Error ? cause.message : 'no answer'}`
  );
}
