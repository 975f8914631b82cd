import { CannotOpenError, ivLength, open, seal, splitTag } from '@keyfleet/shared/encoding/aead';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { DomainState } from '@keyfleet/shared/domain/state';
import {
  type DomainToken,
  TokenBody,
  TokenEnvelope,
  TokenHeader,
  type WrappedKey,
} from '@keyfleet/shared/domain/token';
import type { Random } from '../crypto/random.ts';
import type { Identity } from '../identity.ts';
import type { Steps } from '../steps.ts';
import { decodeSecrets, type DomainSecrets, encodeSecrets } from './domain-secrets.ts';
import { unwrapDkek, wrapDkek } from './wrapped-dkek.ts';

export interface TokenParts {
  readonly state: DomainState;
  /** Absent in generation 1. */
  readonly previousHash: Uint8Array | undefined;
  readonly proposal: Proposal;
  readonly secrets: DomainSecrets;
}

/** A token for all members of `state`, signed by `identity`. A step for each member. */
export function* sealDomainToken(
  { state, previousHash, proposal, secrets }: TokenParts,
  identity: Identity,
  random: Random,
): Steps<Buffer> {
  const dkek = random(32);
  let plaintext: Buffer | undefined;
  try {
    const wrappedKeys: WrappedKey[] = [];
    for (const member of state.members) {
      yield;
      wrappedKeys.push(wrapDkek(dkek, member, state));
    }
    const header = TokenHeader.encode({
      state: DomainState.encode(state),
      ...(previousHash && { previousHash }),
      proposal: Proposal.encode(proposal),
      signerId: identity.memberId,
      wrappedKeys,
    });
    const iv = random(ivLength);
    plaintext = encodeSecrets(secrets);
    const sealed = Buffer.concat(seal({ key: dkek, iv, associatedData: header }, plaintext));
    const body = TokenBody.encode({ header, iv, sealed });
    return TokenEnvelope.encode({ body, signature: identity.sign(body) });
  } finally {
    dkek.fill(0);
    plaintext?.fill(0);
  }
}

/**
 * The domain keys of a verified token, for one of its members. Throws `DomainError('cannot-open')` without saying why.
 */
export function openDomainToken(token: DomainToken, identity: Identity): DomainSecrets {
  const { secrets, dkek } = opened(token, identity);
  dkek.fill(0);
  return secrets;
}

/**
 * The same, if every other member of the token finds the same in it. A member's wrapped key is closed to all others, so
 * each is made again. Throws `DomainError`: `cannot-open`, or `forged` with the names of those for whom it is sealed
 * otherwise. A step for each member.
 */
export function* openForAll(token: DomainToken, identity: Identity): Steps<DomainSecrets> {
  const { secrets, dkek } = opened(token, identity);
  try {
    const wrong: string[] = [];
    for (const [i, member] of token.state.members.entries()) {
      yield;
      if (!isSameWrapping(token.wrappedKeys[i]!, wrapDkek(dkek, member, token.state))) wrong.push(member.memberId);
    }
    if (wrong.length === 0) return secrets;
    throw new DomainError(
      'forged',
      `the token is sealed for ${wrong.join(', ')} otherwise than its DKEK makes it: ${token.signerId} lies, or had an older release`,
    );
  } finally {
    dkek.fill(0);
  }
}

function isSameWrapping(one: WrappedKey, other: WrappedKey): boolean {
  const parts = ({ ephemeralKey, iv, sealed, encapsulated = Buffer.of() }: WrappedKey) =>
    Buffer.concat([ephemeralKey, iv, sealed, encapsulated]);
  return parts(one).equals(parts(other));
}

/** The caller wipes the DKEK. */
function opened(token: DomainToken, identity: Identity): { secrets: DomainSecrets; dkek: Buffer } {
  let dkek: Buffer | undefined;
  let plaintext: Buffer | undefined;
  try {
    dkek = unwrapDkek(token, identity);
    plaintext = open({ key: dkek, iv: token.iv, associatedData: token.header }, splitTag(token.sealed));
    const secrets = decodeSecrets(plaintext);
    const { domainKeys } = token.state;
    const complete = secrets.domainKeys.length === domainKeys.length;
    if (!complete || secrets.domainKeys.some(({ id }, i) => id !== domainKeys[i]!.id)) throw new CannotOpenError();
    return { secrets, dkek };
  } catch (cause) {
    dkek?.fill(0);
    const expected = cause instanceof CannotOpenError || cause instanceof FormatError || cause instanceof DomainError;
    if (!expected) throw cause;
    throw new DomainError('cannot-open', 'the domain keys of the token do not open for this member');
  } finally {
    plaintext?.fill(0);
  }
}
