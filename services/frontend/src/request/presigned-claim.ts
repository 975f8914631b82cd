import { ALGORITHM } from '@keyfleet/shared/sigv4';
import {
  assertCurrent,
  assertSigned,
  basicTime,
  type ClaimRules,
  type Headers,
  incomplete,
  readCredential,
  type SignatureClaim,
} from './signature-claim.ts';

/**
 * AWS accepts every presigned call for this long, whatever X-Amz-Expires says: EKS tokens say 60 s and are used for 14
 * minutes.
 */
const VALID_MS = 15 * 60_000;

const required = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
  'X-Amz-Date',
] as const;

/** True for a call signed in the query and nowhere else. */
export function isPresigned(headers: Headers, query: string): boolean {
  return !headers.has('authorization') && /(?:^|&)X-Amz-Algorithm=/.test(query);
}

/**
 * Reads the claim of a presigned URL (IAM User Guide, "Signature Version 4": query parameters). Throws KmsException
 * with AWS's text.
 */
export function readPresignedClaim(headers: Headers, query: string, rules: ClaimRules): SignatureClaim {
  const parameters = readParameters(query);
  const missing = required.filter((name) => !parameters.get(name));
  if (missing.length > 0) {
    const sentences = missing.map((name) => `AWS query-string parameters must include '${name}'. `);
    throw incomplete(`${sentences.join('')}Re-examine the query-string parameters.`);
  }
  const value = (name: (typeof required)[number]) => parameters.get(name)!;
  const [algorithm, amzDate, signedHeaders] = [
    value('X-Amz-Algorithm'),
    value('X-Amz-Date'),
    value('X-Amz-SignedHeaders'),
  ];
  if (algorithm !== ALGORITHM) {
    throw incomplete(`Unsupported AWS 'algorithm': '${algorithm}' (only ${ALGORITHM} for now).`);
  }
  const time = basicTime(amzDate);
  if (time === undefined) {
    throw incomplete(
      `Date must be in ISO-8601 'basic format'. Got '${amzDate}'. See http://en.wikipedia.org/wiki/ISO_8601`,
    );
  }
  assertCurrent(time, amzDate, { ...rules, validMs: VALID_MS });
  assertSigned(signedHeaders, headers);
  const { accessKeyId, scope } = readCredential(value('X-Amz-Credential'), amzDate, rules);
  const signedQuery = query
    .split('&')
    .filter((parameter) => nameOf(parameter) !== 'X-Amz-Signature')
    .join('&');
  const sessionToken = parameters.get('X-Amz-Security-Token');
  return {
    accessKeyId,
    scope,
    amzDate,
    signedHeaders,
    signature: value('X-Amz-Signature'),
    signedQuery,
    ...(sessionToken !== undefined && { sessionToken }),
  };
}

/** Throws for a parameter given twice, since it is unclear which one counts. */
function readParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of parametersOf(query)) {
    if (!name.startsWith('X-Amz-')) continue;
    if (parameters.has(name)) throw incomplete(`AWS query-string parameters must include '${name}' once.`);
    parameters.set(name, value);
  }
  return parameters;
}

function nameOf(parameter: string): string {
  return [...parametersOf(parameter).keys()][0] ?? '';
}

/** URLSearchParams takes a `?` at the beginning for none of the first name. */
function parametersOf(query: string): URLSearchParams {
  return new URLSearchParams(`&${query}`);
}

/** Of a query string or a form, without reading it. */
export function countParameters(text: string): number {
  let count = 1;
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) count++;
  return count;
}
