import { decode, encode } from 'cborg';
import { z } from 'zod';
import { AttestationError } from './errors.ts';

/** Longest payload, in bytes (attestation_process.md of aws-nitro-enclaves-nsm-api, 3.1). */
const MAX_PAYLOAD = 16_384;
/** What COSE adds to the payload is shorter. */
const MAX_DOCUMENT = MAX_PAYLOAD + 256;
/** CBOR's tag 18: a COSE_Sign1 may say that it is one. */
const COSE_SIGN1 = 0xd2;
/** `{1: -35}`: signed by ECDSA with SHA-384. The only header that Nitro's documents have. */
const ES384 = Buffer.from('a1013822', 'hex');

const bytes = (min: number, max: number) => z.instanceof(Uint8Array).refine((b) => b.length >= min && b.length <= max);
const certificate = bytes(1, 1024);
const userData = bytes(0, 1024).nullish();

const registers = z
  .map(
    z.int().min(0).max(31),
    bytes(32, 64).refine((pcr) => pcr.length % 16 === 0),
  )
  .refine(({ size }) => size > 0);

/** The payload: attestation_process.md of aws-nitro-enclaves-nsm-api, 2.2 and 3.2.2. */
const OfEnclave = z.strictObject({
  module_id: z.string().min(1).max(256),
  /** Milliseconds since the epoch. */
  timestamp: z.int().positive(),
  digest: z.literal('SHA384'),
  pcrs: registers,
  certificate,
  cabundle: z.array(certificate).min(1).max(8),
  public_key: bytes(1, 1024).nullish(),
  user_data: userData,
  nonce: userData,
});
/** EC2 User Guide, "Validate a NitroTPM Attestation Document": the same under another name of the registers. */
const OfInstance = OfEnclave.omit({ pcrs: true }).extend({ nitrotpm_pcrs: registers });
const Payload = z.union([OfEnclave, OfInstance]);

const CoseSign1 = z.tuple([
  z.instanceof(Uint8Array).refine((header) => ES384.equals(header)),
  z.map(z.never(), z.never()),
  bytes(1, MAX_PAYLOAD),
  bytes(96, 96),
]);

export interface SignedDocument {
  readonly payload: z.output<typeof Payload>;
  /** What is signed (RFC 9052, 4.4). */
  readonly signed: Uint8Array<ArrayBuffer>;
  /** r and s, 48 bytes each. */
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** Nothing in it is proven yet. Throws `AttestationError`. */
export function readDocument(document: Uint8Array): SignedDocument {
  if (document.length > MAX_DOCUMENT) throw new AttestationError('is too large');
  try {
    const [header, , payload, signature] = CoseSign1.parse(cbor(untagged(document)));
    return {
      payload: Payload.parse(membersOf(cbor(payload))),
      signed: Uint8Array.from(encode(['Signature1', header, new Uint8Array(), payload])),
      signature: Uint8Array.from(signature),
    };
  } catch (error) {
    throw new AttestationError('is malformed', { cause: error });
  }
}

function untagged(document: Uint8Array): Uint8Array {
  return document[0] === COSE_SIGN1 ? document.subarray(1) : document;
}

/** One item and nothing after it. */
function cbor(encoded: Uint8Array): unknown {
  return decode(encoded, {
    strict: true,
    useMaps: true,
    rejectDuplicateMapKeys: true,
    allowIndefinite: false,
    allowUndefined: false,
    allowBigInt: false,
    allowNaN: false,
    allowInfinity: false,
  });
}

function membersOf(map: unknown): object {
  return Object.fromEntries(z.map(z.string(), z.unknown()).parse(map));
}
