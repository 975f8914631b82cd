import { z } from 'zod';
import { DomainError } from './domain-error.ts';
import { publicKeyOf } from './signature.ts';
import { domainName, entityId } from './state.ts';

/** Who may found a domain. It stands in every service's configuration, and everything else is verified from it. */
export interface TrustAnchor {
  readonly domain: string;
  /** How many distinct founders must sign CreateDomain. */
  readonly minimum: number;
  readonly operators: readonly { readonly operatorId: string; readonly signingKey: Uint8Array }[];
}

/** The file: keys are DER SubjectPublicKeyInfo in base64. */
const fileSchema = z.strictObject({
  domain: domainName,
  minimum: z.int().min(1),
  operators: z.array(z.strictObject({ operatorId: entityId, signingKey: z.base64() })).min(1),
});

/** Reads the JSON text of a trust anchor file. Throws `DomainError('malformed')` that says what is wrong. */
export function parseTrustAnchor(json: string): TrustAnchor {
  const file = fileSchema.safeParse(jsonOf(json));
  if (!file.success) throw malformed(z.prettifyError(file.error));
  const { domain, minimum, operators } = file.data;
  const founders = operators.map(({ operatorId, signingKey }) => {
    const key = Buffer.from(signingKey, 'base64');
    publicKeyOf(key);
    return { operatorId, signingKey: key };
  });
  for (const field of ['operatorId', 'signingKey'] as const) {
    if (new Set(operators.map((one) => one[field])).size < operators.length) throw malformed(`the same ${field} twice`);
  }
  if (minimum > founders.length) throw malformed(`minimum is ${minimum}, but only ${founders.length} may sign`);
  return { domain, minimum, operators: founders };
}

export function formatTrustAnchor({ domain, minimum, operators }: TrustAnchor): string {
  const founders = operators.map(({ operatorId, signingKey }) => ({
    operatorId,
    signingKey: Buffer.from(signingKey).toString('base64'),
  }));
  return `${JSON.stringify({ domain, minimum, operators: founders }, undefined, 2)}\n`;
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
