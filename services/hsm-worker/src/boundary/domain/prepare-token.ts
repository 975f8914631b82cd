import type { Clock } from '@keyfleet/shared/clock';
import { foundedState, makesDomainKey, nextState } from '@keyfleet/shared/domain/apply';
import { assertNotFromFuture, verifyGenesis, verifyNext } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { Proposal } from '@keyfleet/shared/domain/proposal';
import { isMet, verifyFounding, verifyProposal } from '@keyfleet/shared/domain/quorum';
import { activeDomainKey, type DomainState, type VerifiedDomain } from '@keyfleet/shared/domain/state';
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
  if (change.name === 'RotateDomainKeys') assertNotTooSoon(current.state, proposal, maker);
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

/**
 * Whoever may change the members may rotate at any time: a rotation makes every other proposal stale, so one person
 * alone must not be able to go on. Throws `DomainError('too-soon')`.
 */
function assertNotTooSoon(
  state: DomainState,
  { signatures }: Proposal,
  { clock, rotationPauseMs }: Pick<TokenMaker, 'clock' | 'rotationPauseMs'>,
): void {
  const signers = new Set(signatures.map(({ operatorId }) => operatorId));
  const trusted = state.rules.find(({ command }) => command === 'ModifyMembers');
  const mayModify =
    trusted &&
    isMet(
      trusted,
      state.operators.filter(({ operatorId }) => signers.has(operatorId)),
    );
  if (mayModify) return;
  const seconds = Math.ceil((activeDomainKey(state).createdAt + rotationPauseMs - clock.now()) / 1000);
  if (seconds <= 0) return;
  throw new DomainError(
    'too-soon',
    `the next rotation is possible in ${seconds} s, and at once if those sign who may change the members`,
  );
}
