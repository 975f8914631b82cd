import type { Clock } from '@keyfleet/shared/clock';
import { foundedState, makesDomainKey, nextState } from '@keyfleet/shared/domain/apply';
import { assertNotFromFuture, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { DomainChange, Proposal } from '@keyfleet/shared/domain/proposal';
import { isMet, verifyFounding, verifyProposal } from '@keyfleet/shared/domain/quorum';
import {
  activeDomainKey,
  domainKeysToRetire,
  type DomainState,
  type VerifiedDomain,
} from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { assertMayBeMade } from '@keyfleet/shared/domain/valid-state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { Random } from '../crypto/random.ts';
import type { Identity } from '../identity.ts';
import type { Steps } from '../steps.ts';
import { sealDomainToken } from './domain-token.ts';
import { type DomainSecrets, newDomainKey, newSecretKey } from './domain-secrets.ts';

/** What a member uses to make a token. */
export interface TokenMaker {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * The shortest time that this member accepts between the making of a domain key and a rotation, unless those signed
   * it who may change the members. Otherwise one person, or a holder of the scheduler's key, could fill the domain with
   * keys, each of which makes everything be resealed.
   */
  readonly rotationPauseMs: number;
}

/**
 * Each token is kept for ever and 140 bytes larger than the one before, until domain keys are dropped: 12 MB in two
 * weeks, and at ten minutes 300 MB, more than a domain-manager has room for.
 */
export const ROTATION_PAUSE_MS = 60 * 60_000;

/** The founding token: a first domain key, and the material id key for the life of the domain. Throws `DomainError`. */
export function* prepareGenesis(anchor: TrustAnchor, proposal: Proposal, maker: TokenMaker): Steps<Buffer> {
  const { identity, clock, random } = maker;
  const change = verifyFounding(anchor, proposal);
  assertMayBeMade(change);
  const key = newDomainKey(random);
  const state = foundedState(change, { keyId: key.id, madeAt: clock.now() });
  const secrets = { domainKeys: [key], materialIdKey: newSecretKey(random) };
  const token = yield* sealDomainToken({ state, previousHash: undefined, proposal, secrets }, identity, random);
  // Never hand out a token that the others would refuse.
  verifyGenesis(anchor, parseToken(token));
  return token;
}

/** The token that follows `current`, whose keys are `secrets`. Throws `DomainError`. */
export function* prepareNext(
  current: VerifiedDomain & { readonly secrets: DomainSecrets },
  proposal: Proposal,
  maker: TokenMaker,
): Steps<Buffer> {
  const { identity, clock, random } = maker;
  assertNotFromFuture(current, clock.now());
  const change = verifyProposal(current, proposal);
  assertMayBeMade(change);
  if (!mayModifyMembers(current.state, proposal)) assertWithinLimits(current.state, change, maker);
  const key = newDomainKey(random);
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

/** Whether those signed who may change the members. */
function mayModifyMembers({ rules, operators }: DomainState, { signatures }: Proposal): boolean {
  const signers = new Set(signatures.map(({ operatorId }) => operatorId));
  const trusted = rules.find(({ command }) => command === 'ModifyMembers');
  return (
    trusted !== undefined &&
    isMet(
      trusted,
      operators.filter(({ operatorId }) => signers.has(operatorId)),
    )
  );
}

/**
 * Each token makes every other proposal stale, and stays for ever. So one person alone, or a holder of the scheduler's
 * key, must not be able to make one after the other: a rotation has its time, and a retirement takes all keys that a
 * removal gave to retire. Throws `DomainError`: `too-soon` or `invalid-change`.
 */
function assertWithinLimits(
  state: DomainState,
  change: DomainChange,
  { clock, rotationPauseMs }: Pick<TokenMaker, 'clock' | 'rotationPauseMs'>,
): void {
  if (change.name === 'RotateDomainKeys') {
    const seconds = Math.ceil((activeDomainKey(state).createdAt + rotationPauseMs - clock.now()) / 1000);
    if (seconds > 0) {
      throw new DomainError(
        'too-soon',
        `the next rotation is possible in ${seconds} s, and at once if those sign who may change the members`,
      );
    }
  }
  if (change.name === 'RetireDomainKeys') {
    const ids = new Set(change.body.ids);
    const due = domainKeysToRetire(state);
    if (due.length !== ids.size || due.some(({ id }) => !ids.has(id))) {
      throw new DomainError(
        'invalid-change',
        'other domain keys than those from before the last removal, all of them, are retired only if those sign who may change the members',
      );
    }
  }
}
