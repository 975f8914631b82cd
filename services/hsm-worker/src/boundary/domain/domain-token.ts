import { createSecretKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { defineFormat } from '@keyfleet/shared/encoding/canonical';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { encodedPublicKey, publicKeyOf } from '@keyfleet/shared/domain/signature';
import { domainName, DomainState, entityId, type Member, publicKey } from '@keyfleet/shared/domain/state';
import {
  type DomainToken,
  TokenBody,
  TokenEnvelope,
  TokenHeader,
  type WrappedKey,
} from '@keyfleet/shared/domain/token';
import type { Random } from '../commands/command.ts';
import { CannotOpenError, ivLength, open, seal, tagLength } from '../crypto/aead.ts';
import type { Identity } from '../identity.ts';
import { decodeSecrets, type DomainSecrets, encodeSecrets } from './domain-secrets.ts';

/** For whom, in which token, by which keys a DKEK is wrapped: bound into the wrapping key, and associated data. */
const WrapContext = defineFormat(
  'keyfleet/domain-key-wrap/1',
  z.object({
    domain: domainName,
    generation: z.int().min(1),
    memberId: entityId,
    ephemeralKey: publicKey,
    agreementKey: publicKey,
  }),
);

export interface TokenParts {
  readonly state: DomainState;
  /** Absent in generation 1. */
  readonly previousHash: Uint8Array | undefined;
  readonly proposal: Proposal;
  readonly secrets: DomainSecrets;
}

/** A token for all members of `state`, signed by `identity`. */
export function sealDomainToken(
  { state, previousHash, proposal, secrets }: TokenParts,
  identity: Identity,
  random: Random,
): Buffer {
  const dkek = random(32);
  const plaintext = encodeSecrets(secrets);
  try {
    const header = TokenHeader.encode({
      state: DomainState.encode(state),
      ...(previousHash && { previousHash }),
      proposal: Proposal.encode(proposal),
      signerId: identity.memberId,
      wrappedKeys: state.members.map((member) => wrapFor(member, { state, dkek, random })),
    });
    const iv = random(ivLength);
    const sealed = Buffer.concat(seal({ key: dkek, iv, associatedData: header }, plaintext));
    const body = TokenBody.encode({ header, iv, sealed });
    return TokenEnvelope.encode({ body, signature: identity.sign(body) });
  } finally {
    dkek.fill(0);
    plaintext.fill(0);
  }
}

/** The domain keys of a verified token, for one of its members. Throws `DomainError('cannot-open')`, and never says why. */
export function openDomainToken(token: DomainToken, identity: Identity): DomainSecrets {
  let dkek: Buffer | undefined;
  let plaintext: Buffer | undefined;
  try {
    dkek = unwrapDkek(token, identity);
    const sealed = splitTag(token.sealed);
    plaintext = open({ key: dkek, iv: token.iv, associatedData: token.header }, sealed);
    const secrets = decodeSecrets(plaintext);
    const { domainKeys } = token.state;
    const complete = secrets.domainKeys.length === domainKeys.length;
    if (!complete || secrets.domainKeys.some(({ id }, i) => id !== domainKeys[i]!.id)) throw new CannotOpenError();
    return secrets;
  } catch (cause) {
    const expected = cause instanceof CannotOpenError || cause instanceof FormatError || cause instanceof DomainError;
    if (!expected) throw cause;
    throw new DomainError('cannot-open', 'the domain keys of the token do not open for this member');
  } finally {
    dkek?.fill(0);
    plaintext?.fill(0);
  }
}

interface Wrapping {
  readonly state: DomainState;
  readonly dkek: Uint8Array;
  readonly random: Random;
}

/** One-pass ECDH: a fresh ephemeral key for each member, the member's static agreement key. */
function wrapFor({ memberId, agreementKey }: Member, { state, dkek, random }: Wrapping): WrappedKey {
  const ephemeral = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const ephemeralKey = encodedPublicKey(ephemeral.publicKey);
  const { domain, generation } = state;
  const context = WrapContext.encode({ domain, generation, memberId, ephemeralKey, agreementKey });
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicKeyOf(agreementKey) });
  const iv = random(ivLength);
  const sealing = { key: wrappingKey(secret, context), iv, associatedData: context };
  return { memberId, ephemeralKey, iv, sealed: Buffer.concat(seal(sealing, dkek)) };
}

function unwrapDkek({ state, wrappedKeys }: DomainToken, identity: Identity): Buffer {
  const { memberId, agreementKey } = identity;
  const wrapped = wrappedKeys.find((one) => one.memberId === memberId);
  if (wrapped === undefined) throw new CannotOpenError();
  const { ephemeralKey, iv } = wrapped;
  const { domain, generation } = state;
  const context = WrapContext.encode({ domain, generation, memberId, ephemeralKey, agreementKey });
  const key = wrappingKey(identity.agree(ephemeralKey), context);
  return open({ key, iv, associatedData: context }, splitTag(wrapped.sealed));
}

/** HKDF-SHA-384 (RFC 5869) of the shared secret, which it wipes; `context` holds both public keys (SP 800-56C). */
function wrappingKey(secret: Buffer, context: Uint8Array): KeyObject {
  const key = Buffer.from(hkdfSync('sha384', secret, '', context, 32));
  try {
    return createSecretKey(key);
  } finally {
    key.fill(0);
    secret.fill(0);
  }
}

function splitTag(sealed: Uint8Array): { ciphertext: Uint8Array; tag: Uint8Array } {
  return { ciphertext: sealed.subarray(0, -tagLength), tag: sealed.subarray(-tagLength) };
}
