import type { Clock } from '@keyfleet/shared/clock';
import { foundedState, makesDomainKey, nextState } from '@keyfleet/shared/domain/apply';
import { assertNotFromFuture, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import type { Proposal } from '@keyfleet/shared/domain/proposal';
import { verifyFounding, verifyProposal } from '@keyfleet/shared/domain/quorum';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { assertMayBeMade } from '@keyfleet/shared/domain/valid-state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Random } from '../crypto/random.ts';
import type { Identity } from '../identity.ts';
import type { Steps } from '../steps.ts';
import { assertWithinLimits } from './change-limits.ts';
import { sealDomainToken } from './domain-token.ts';
import { newDomainKey, newSecretKey } from './domain-secrets.ts';
import type { InstalledDomain } from './installed-domain.ts';

/** What a member uses to make a token. */
export interface TokenMaker {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly random: Random;
  /** See `assertWithinLimits`. */
  readonly rotationPauseMs: number;
}

/** The founding token: a first domain key, and the material id key for the life of the domain. Throws `DomainError`. */
export function* prepareGenesis(anchor: TrustAnchor, proposal: Proposal, maker: TokenMaker): Steps<Buffer> {
  const { identity, clock, random } = maker;
  const change = verifyFounding(anchor, proposal);
  assertMayBeMade(change);
  const key = newDomainKey(random, { domain: anchor.domain, generation: 1 });
  const state = foundedState(change, { keyId: key.id, madeAt: clock.now() });
  const secrets = { domainKeys: [key], materialIdKey: newSecretKey(random) };
  const token = yield* sealDomainToken({ state, previousHash: undefined, proposal, secrets }, identity, random);
  // Never hand out a token that the others would refuse.
  verifyGenesis(anchor, parseToken(token));
  return token;
}

/** The token that follows `current`, whose keys are `secrets`. Throws `DomainError`. */
export function* prepareNext(
  current: VerifiedDomain & Pick<InstalledDomain, 'secrets' | 'activeSince'>,
  proposal: Proposal,
  maker: TokenMaker,
): Steps<Buffer> {
  const { identity, clock, random, rotationPauseMs } = maker;
  assertNotFromFuture(current, clock.now());
  const change = verifyProposal(current, proposal);
  assertMayBeMade(change);
  const rotatesFrom = current.activeSince + rotationPauseMs;
  assertWithinLimits(current.state, proposal, { change, rotatesFrom, now: clock.now() });
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
  const token = yield* sealDomainToken({ state, previousHash: current.hash, proposal, secrets }, identity, random);
  verifyNext(current, parseToken(token));
  return token;
}
