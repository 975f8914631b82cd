import { BoundedCache } from '@keyfleet/shared/bounded-cache';
import type { KmsKey } from '../keys/kms-key.ts';
import { chargedPieces, type PolicyKind } from './compiled-bytes.ts';
import { parseIdentityPolicy, parseKeyPolicy, type Policy } from './document.ts';
import type { Requester } from './evaluate.ts';
import type { Principal } from './principal.ts';

/** Of key policies, and of identity policies: together a small part of what a frontend has. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Charges an account for compiling its policies. Throws if that was too much before. */
type Charge = (accountId: string, pieces: number) => void;

/** Compiles each policy text once and keeps it while it is in use. */
export class Policies {
  readonly #keyPolicies: CompiledTexts;
  readonly #identityPolicies: CompiledTexts;

  constructor(charge: Charge = () => undefined) {
    this.#keyPolicies = new CompiledTexts('key', charge);
    this.#identityPolicies = new CompiledTexts('identity', charge);
  }

  keyPolicy({ policy, accountId }: Pick<KmsKey, 'policy' | 'accountId'>): Policy {
    return this.#keyPolicies.get(policy, accountId);
  }

  /** The principal as policies see it. It is not kept: thousands of callers may have a policy each. */
  requester({ arn, accountId, userId, policies, boundary, session }: Principal): Requester {
    const compiled = (text: string): Policy => this.#identityPolicies.get(text, accountId);
    return {
      arn,
      accountId,
      userId,
      sessionOf: session?.roleArn,
      identityPolicies: policies.map(compiled),
      boundary: boundary === undefined ? undefined : compiled(boundary),
      sessionPolicies: session && session.policies.length > 0 ? session.policies.map(compiled) : undefined,
    };
  }
}

const compilers: Readonly<Record<PolicyKind, (text: string) => Policy>> = {
  key: parseKeyPolicy,
  identity: parseIdentityPolicy,
};

class CompiledTexts {
  readonly #kind: PolicyKind;
  readonly #charge: Charge;
  readonly #compiled = new BoundedCache<Policy>({
    maxWeight: MAX_BYTES,
    weightOf: ({ bytes }, text) => bytes + 2 * text.length,
  });

  constructor(kind: PolicyKind, charge: Charge) {
    this.#kind = kind;
    this.#charge = charge;
  }

  get(text: string, accountId: string): Policy {
    const known = this.#compiled.get(text);
    if (known) return known;
    this.#charge(accountId, 0);
    const policy = this.#compileStored(text);
    this.#compiled.set(text, policy);
    this.#charge(accountId, chargedPieces(policy.bytes, this.#kind));
    return policy;
  }

  /** It was checked before it was stored, so an error now is a fault and not the caller's mistake. */
  #compileStored(text: string): Policy {
    try {
      return compilers[this.#kind](text);
    } catch (cause) {
      throw new Error('a stored policy does not compile: give the key or the identity a new one', { cause });
    }
  }
}
