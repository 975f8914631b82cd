import { hash } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat, isLabelled } from '../encoding/canonical.ts';
import { DomainError } from './domain-error.ts';
import { encapsulatedLength } from './encapsulation.ts';
import { parseProposal, type Proposal, signature } from './proposal.ts';
import { decodeOrRefuse } from './signature.ts';
import { DomainState, entityId, publicKey, sha256Hash } from './state.ts';

const iv = bytes({ min: 12, max: 12 });

const wrappedKeyV1 = z.object({
  memberId: entityId,
  ephemeralKey: publicKey,
  iv,
  sealed: bytes({ min: 48, max: 48 }),
});
/**
 * The DKEK for one member: the ephemeral P-384 key of the one-pass ECDH, the ML-KEM-1024 ciphertext if the member has
 * an encapsulation key, then AES-256-GCM (32 bytes and the tag).
 */
const wrappedKeySchema = wrappedKeyV1.extend({
  encapsulated: bytes({ min: encapsulatedLength, max: encapsulatedLength }).optional(),
});
export type WrappedKey = z.output<typeof wrappedKeySchema>;

function headerFields<W extends z.ZodType>(wrappedKey: W) {
  return z.object({
    state: bytes(),
    /** The hash of the previous token; absent in generation 1. */
    previousHash: sha256Hash.optional(),
    proposal: bytes(),
    /** The member that made and signed the token. */
    signerId: entityId,
    /** One for each member of `state`, in the same order. */
    wrappedKeys: z.array(wrappedKey).max(256),
  });
}

const HeaderV1 = defineFormat('keyfleet/domain-token-header/1', headerFields(wrappedKeyV1));
/** The clear part of a token; also the associated data of the sealed domain keys. */
export const TokenHeader = defineFormat('keyfleet/domain-token-header/2', headerFields(wrappedKeySchema));
export type TokenHeader = ReturnType<typeof TokenHeader.decode>;

/** What the member signs. `sealed`: the domain keys under the DKEK, AES-256-GCM, with the tag. */
export const TokenBody = defineFormat(
  'keyfleet/domain-token-body/1',
  z.object({ header: bytes(), iv, sealed: bytes({ min: 16 }) }),
);

export const TokenEnvelope = defineFormat('keyfleet/domain-token/1', z.object({ body: bytes(), signature }));

/** A token and what shows that its maker does not stand alone: see `assertWitnessed`. */
const WitnessedToken = defineFormat(
  'keyfleet/witnessed-domain-token/1',
  z.object({ token: bytes(), witness: bytes() }),
);

/** A domain token, decoded but not yet verified. */
export interface DomainToken {
  /** The whole token, and its witness if it has one. */
  readonly bytes: Uint8Array;
  /** As its maker made it. */
  readonly made: Uint8Array;
  readonly witness: Uint8Array | undefined;
  readonly state: DomainState;
  /** The canonical bytes of `state`. */
  readonly stateBytes: Uint8Array;
  readonly previousHash: Uint8Array | undefined;
  readonly proposal: Proposal;
  readonly signerId: string;
  readonly wrappedKeys: readonly WrappedKey[];
  readonly header: Uint8Array;
  readonly iv: Uint8Array;
  readonly sealed: Uint8Array;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
  readonly hash: Buffer;
}

/** Throws `DomainError('malformed')`. */
export function parseToken(token: Uint8Array): DomainToken {
  const { token: made, witness } = isLabelled(WitnessedToken, token)
    ? decodeOrRefuse(WitnessedToken, token)
    : { token, witness: undefined };
  const { body, signature: signatureBytes } = decodeOrRefuse(TokenEnvelope, made);
  const { header, iv: sealedIv, sealed } = decodeOrRefuse(TokenBody, body);
  const isVersion1 = isLabelled(HeaderV1, header);
  const fields = decodeOrRefuse<TokenHeader>(isVersion1 ? HeaderV1 : TokenHeader, header);
  const state = decodeOrRefuse(DomainState, fields.state);
  if (isVersion1 !== (state.version === 1))
    throw new DomainError('malformed', 'a state of another version than its token');
  return {
    bytes: token,
    made,
    witness,
    state,
    stateBytes: fields.state,
    previousHash: fields.previousHash,
    proposal: parseProposal(fields.proposal),
    signerId: fields.signerId,
    wrappedKeys: fields.wrappedKeys,
    header,
    iv: sealedIv,
    sealed,
    body,
    signature: signatureBytes,
    hash: hashOfBody(body),
  };
}

/** `witness`: a signed check, or a proposal that asks for none. */
export function withWitness({ made }: Pick<DomainToken, 'made'>, witness: Uint8Array): Buffer {
  return WitnessedToken.encode({ token: made, witness });
}

/**
 * SHA-256 of the token's body. It excludes the signature and the witness: ECDSA lets anyone derive a second valid
 * signature from the first, and the same token must not look like a fork of itself.
 */
function hashOfBody(body: Uint8Array): Buffer {
  return hash('sha256', body, 'buffer');
}

/** Takes a token's whole bytes. Throws `DomainError('malformed')`. */
export function tokenHash(token: Uint8Array): Buffer {
  return parseToken(token).hash;
}
