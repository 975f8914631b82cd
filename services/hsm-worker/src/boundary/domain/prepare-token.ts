import type { Clock } from '@keyfleet/shared/clock';
import { foundedState, makesDomainKey, nextState } from '@keyfleet/shared/domain/apply';
import { assertNotFromFuture, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { Proposal } from '@keyfleet/shared/domain/proposal';
import { verifyFounding, verifyProposal } from '@keyfleet/shared/domain/quorum';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { type DomainToken, parseToken } from '@keyfleet/shared/domain/token';
import { assertMayBeMade } from '@keyfleet/shared/domain/valid-state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Random } from '../crypto/random.ts';
import type { Identity } from '../identity.ts';
import type { Steps } from '../steps.ts';
import { assertWithinLimits } from './change-limits.ts';
import { sealDomainToken } from './domain-token.ts';
import { newDomainKey, newSecretKey } from './domain-secrets.ts';
import type { InstalledDomain } from './installed-domain.ts';
import type { PreparedToken } from './prepared-token.ts';

/** What a member uses to make a token. */
export interface TokenMaker {
  readonly identity: Identity;
  /** What it has made already is the token of every valid proposal that follows the same one. */
  readonly prepared: PreparedToken;
  readonly clock: Clock;
  readonly random: Random;
}

/** The founding token: a first domain key, and the material id key for the life of the domain. Throws `DomainError`. */
export function* prepareGenesis(anchor: TrustAnchor, proposal: Proposal, maker: TokenMaker): Steps<DomainToken> {
  const { identity, prepared, clock, random } = maker;
  const change = verifyFounding(anchor, proposal);
  assertPreparer(change, identity);
  const made = prepared.following(undefined);
  if (made !== undefined) return made;
  assertMayBeMade(change);
  const key = newDomainKey(random, { domain: anchor.domain, generation: 1 });
  const state = foundedState(change, { keyId: key.id, madeAt: clock.now() });
  const secrets = { domainKeys: [key], materialIdKey: newSecretKey(random) };
  const bytes = yield* sealDomainToken({ state, previousHash: undefined, proposal, secrets }, identity, random);
  const token = parseToken(bytes);
  // Never hand out a token that the others would refuse.
  verifyGenesis(anchor, token);
  return token;
}

/** The token that follows `current`, whose keys are `secrets`. Throws `DomainError`. */
export function* prepareNext(
  current: VerifiedDomain & Pick<InstalledDomain, 'secrets' | 'rotatesInMs'>,
  proposal: Proposal,
  maker: TokenMaker,
): Steps<DomainToken> {
  const { identity, prepared, clock, random } = maker;
  const change = verifyProposal(current, proposal);
  assertPreparer(change, identity);
  const made = prepared.following(current.state);
  if (made !== undefined) return made;
  assertNotFromFuture(current, clock.now());
  assertMayBeMade(change);
  assertWithinLimits(current.state, proposal, { change, rotatesInMs: current.rotatesInMs });
  const { domain, generation } = current.state;
  const key = newDomainKey(random, { domain, generation: generation + 1 });
  // If the clock was set back, tokens must still be in order. Domain keys are then kept longer, never shorter.
  const madeAt = Math.max(clock.now(), current.state.madeAt);
  const state = nextState(current.state, change, { keyId: key.id, madeAt });
  const held = makesDomainKey(current.state, change)
    ? [...current.secrets.domainKeys, key]
    : current.secrets.domainKeys;
  const secrets = {
    domainKeys: state.domainKeys.map(({ id }) => held.find((one) => one.id === id)!),
    materialIdKey: current.secrets.materialIdKey,
  };
  const bytes = yield* sealDomainToken({ state, previousHash: current.hash, proposal, secrets }, identity, random);
  const token = parseToken(bytes);
  verifyNext(current, token);
  return token;
}

/** Throws `DomainError` for a change that another member is to carry out. */
export function assertPreparer({ preparer }: { readonly preparer: string }, { memberId }: Identity): void {
  if (preparer === memberId) return;
  throw new DomainError('other-preparer', `the change is for ${preparer} to carry out, not for ${memberId}`);
}
