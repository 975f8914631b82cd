import type { KeyObject } from 'node:crypto';
import { canonicalRequest, type SignableRequest } from './canonical-request.ts';
import { ALGORITHM, type CredentialScope, signatureOf, stringToSign, TERMINATOR } from './signature.ts';

/** Who signs, with a key already derived for one scope. */
export interface Signer {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  readonly signingKey: KeyObject;
}

/** The Authorization header of a request; signs every header that the request has. */
export function authorizationOf(request: SignableRequest, amzDate: string, signer: Signer): string {
  const signedHeaders = [...request.headers.keys()].toSorted().join(';');
  const canonical = canonicalRequest(request, signedHeaders)!;
  const signature = signatureOf(signer.signingKey, stringToSign(canonical, amzDate, signer.scope));
  const { date, region, service } = signer.scope;
  const credential = `${signer.accessKeyId}/${date}/${region}/${service}/${TERMINATOR}`;
  return `${ALGORITHM} Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}
