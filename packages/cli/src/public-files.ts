import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { encapsulationKeyOf } from '@keyfleet/shared/domain/encapsulation';
import { encodedPublicKey, publicKeyOf } from '@keyfleet/shared/domain/signature';
import { entityId, type Member, type NewMember, type Operator, roles } from '@keyfleet/shared/domain/state';
import { parseTrustAnchor, type TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import { z } from 'zod';
import { CliError } from './cli-error.ts';
import { readTextFile } from './signing-keys.ts';

/** Files without secrets that people exchange: whose key is whose. Keys are DER SubjectPublicKeyInfo in base64. */

const publicKey = z.base64().transform((text): Buffer => encodedPublicKey(publicKeyOf(Buffer.from(text, 'base64'))));
const encapsulationKey = z.base64().transform((text): Buffer => {
  const raw = Buffer.from(text, 'base64');
  encapsulationKeyOf(raw);
  return raw;
});
const MemberFile = z.strictObject({
  memberId: entityId,
  signingKey: publicKey,
  agreementKey: publicKey,
  encapsulationKey: encapsulationKey.optional(),
  offline: z.literal(true).optional(),
});
const OperatorFile = z.strictObject({ operatorId: entityId, role: z.enum(roles), signingKey: publicKey });

/** `identity.pub.json` in the data directory of an hsm-worker, or the public part of an offline member. */
export function loadMember(path: string): Member {
  return loadJson(path, MemberFile, 'the public identity of an hsm-worker (identity.pub.json)');
}

/** A member that may be admitted. Throws CliError for an identity made by version 1. */
export function loadNewMember(path: string): NewMember {
  const { encapsulationKey: key, ...member } = loadMember(path);
  if (key !== undefined) return { ...member, encapsulationKey: key };
  throw new CliError(
    `${path} is an identity without an ML-KEM key, and cannot be admitted again. Have the worker make a new one: keyfleet member leave, ` +
      'or an empty data directory. For an offline member: keyfleet member create-offline',
  );
}

export function formatMember({ memberId, offline, ...keys }: Member): string {
  const inBase64 = Object.entries(keys).map(([name, key]) => [name, Buffer.from(key!).toString('base64')]);
  return `${JSON.stringify({ memberId, ...Object.fromEntries(inBase64), offline }, undefined, 2)}\n`;
}

/** The file that `keyfleet operator create-key` writes beside a key. */
export function loadOperator(path: string): Operator {
  return loadJson(path, OperatorFile, 'a public key file of keyfleet operator create-key');
}

export function formatOperator({ operatorId, role, signingKey }: Operator): string {
  const key = Buffer.from(signingKey).toString('base64');
  return `${JSON.stringify({ operatorId, role, signingKey: key }, undefined, 2)}\n`;
}

export function loadTrustAnchor(path: string): TrustAnchor {
  try {
    return parseTrustAnchor(readTextFile(path));
  } catch (cause) {
    if (!(cause instanceof DomainError)) throw cause;
    throw new CliError(`${path}: ${cause.message}`, { cause });
  }
}

export function loadJson<S extends z.ZodType>(path: string, schema: S, what: string): z.output<S> {
  const text = readTextFile(path);
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new CliError(`${path} is not ${what}.`, { cause });
  }
}
