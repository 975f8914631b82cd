import { z } from 'zod';
import { DomainError } from './domain-error.ts';
import { publicKeyOf } from './signature.ts';
import { domainName, entityId } from './state.ts';

/** Who may found a domain. It is in every service's configuration, and everything else is verified from it. */
export interface TrustAnchor {
  readonly domain: string;
  /** How many distinct founders must sign CreateDomain. */
  readonly minimum: number;
  readonly operators: readonly { readonly operatorId: string; readonly signingKey: Uint8Array }[];
  /** A token that the domain is known to have had. A chain that does not contain it is not this domain's. */
  readonly checkpoint?: Checkpoint;
}

/** Identifies one domain token without its content. */
export interface Checkpoint {
  readonly generation: number;
  readonly hash: Uint8Array;
}

/** The form in files: the hash is SHA-256 in hexadecimal. */
export const CheckpointText = z.strictObject({
  generation: z.int().min(1),
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the 64 hexadecimal digits of a SHA-256'),
});

export function parseCheckpoint({ generation, hash }: z.output<typeof CheckpointText>): Checkpoint {
  return { generation, hash: Buffer.from(hash, 'hex') };
}

export function formatCheckpoint({ generation, hash }: Checkpoint): z.output<typeof CheckpointText> {
  return { generation, hash: Buffer.from(hash).toString('hex') };
}

/** The file's form: keys are DER SubjectPublicKeyInfo in base64. */
const fileSchema = z.strictObject({
  domain: domainName,
  minimum: z.int().min(1),
  operators: z.array(z.strictObject({ operatorId: entityId, signingKey: z.base64() })).min(1),
  checkpoint: CheckpointText.optional(),
});

/** Parses the JSON text of a trust anchor file. Throws `DomainError('malformed')` with the reason. */
export function parseTrustAnchor(json: string): TrustAnchor {
  const file = fileSchema.safeParse(jsonOf(json));
  if (!file.success) throw malformed(z.prettifyError(file.error));
  const { domain, minimum, operators, checkpoint } = file.data;
  const founders = operators.map(({ operatorId, signingKey }) => {
    const key = Buffer.from(signingKey, 'base64');
    publicKeyOf(key);
    return { operatorId, signingKey: key };
  });
  for (const field of ['operatorId', 'signingKey'] as const) {
    if (new Set(operators.map((one) => one[field])).size < operators.length) throw malformed(`the same ${field} twice`);
  }
  if (minimum > founders.length) throw malformed(`minimum is ${minimum}, but only ${founders.length} may sign`);
  return { domain, minimum, operators: founders, ...(checkpoint && { checkpoint: parseCheckpoint(checkpoint) }) };
}

export function formatTrustAnchor({ domain, minimum, operators, checkpoint }: TrustAnchor): string {
  const founders = operators.map(({ operatorId, signingKey }) => ({
    operatorId,
    signingKey: Buffer.from(signingKey).toString('base64'),
  }));
  const file = {
    domain,
    minimum,
    operators: founders,
    ...(checkpoint && { checkpoint: formatCheckpoint(checkpoint) }),
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DomainError('malformed', 'the trust anchor is not JSON', { cause });
  }
}

function malformed(reason: string): DomainError {
  return new DomainError('malformed', `the trust anchor is not valid: ${reason}`);
}
