import { z } from 'zod';
import type { Signer } from '../domain/proposal.ts';
import { isSignatureOf, signBytes } from '../domain/signature.ts';
import { domainName, type Operator } from '../domain/state.ts';
import { defineFormat } from '../encoding/canonical.ts';

/** How many acceptances a service may miss. */
export const MAX_FOLLOWED = 16;

/** How far the clocks of an operator and a service may differ. */
const CLOCKS_APART_MS = 10 * 60_000;

/** What an operator signs: whoever knows one of the stores in `follows` shall go on with this one (docs/formats.md). */
const StoreAcceptanceFormat = defineFormat(
  'keyfleet/store-acceptance/2',
  z.object({
    domain: domainName,
    id: z.string(),
    follows: z.array(z.string()).max(MAX_FOLLOWED),
    acceptedAt: z.int().min(0),
  }),
);
export interface StoreAcceptance {
  readonly domain: string;
  /** The store's new identity. */
  readonly id: string;
  readonly follows: readonly string[];
  /** Milliseconds since 1970. */
  readonly acceptedAt: number;
}

/** As it lies in the store; both are `''` in a store that nobody accepted, or by a command that gave no date. */
export interface AcceptanceSignature {
  readonly acceptedBy: string;
  /** Base64url. */
  readonly signature: string;
}

export function signAcceptance(acceptance: StoreAcceptance, { operatorId, privateKey }: Signer): AcceptanceSignature {
  const signature = signBytes(privateKey, encodeAcceptance(acceptance)).toString('base64url');
  return { acceptedBy: operatorId, signature };
}

/** What is signed. */
export function encodeAcceptance({ domain, id, follows, acceptedAt }: StoreAcceptance): Buffer {
  return StoreAcceptanceFormat.encode({ domain, id, follows: [...follows], acceptedAt });
}

/**
 * Whether it was signed while the service knew the store that it replaces, and not later than now. One from before may
 * be years old: it lies in Redis for whoever writes there.
 */
export function isTimely(
  { acceptedAt }: Pick<StoreAcceptance, 'acceptedAt'>,
  knownSince: number,
  now: number,
): boolean {
  return acceptedAt >= knownSince - CLOCKS_APART_MS && acceptedAt <= now + CLOCKS_APART_MS;
}

/** `operators`: of the verified state. Frontends and domain-managers among them accept nothing. */
export function isAcceptedBy(
  operators: readonly Operator[],
  acceptance: StoreAcceptance,
  { acceptedBy, signature }: AcceptanceSignature,
): boolean {
  const operator = operators.find(({ operatorId, role }) => role === 'operator' && operatorId === acceptedBy);
  if (operator === undefined || acceptance.follows.length > MAX_FOLLOWED) return false;
  const encoded = encodeAcceptance(acceptance);
  return isSignatureOf(operator.signingKey, encoded, Buffer.from(signature, 'base64url'));
}
