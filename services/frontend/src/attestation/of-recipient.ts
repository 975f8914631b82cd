import type { Attestation, Attestations } from './attestations.ts';
import { AttestationError } from './errors.ts';

/**
 * What the document of a request's Recipient proves, or why it proves nothing; undefined if there is none, or no
 * algorithm with it. `now`: milliseconds since the epoch.
 */
export async function attestedBy(
  input: Readonly<Record<string, unknown>>,
  attestations: Pick<Attestations, 'verify'>,
  now: number,
): Promise<Attestation | AttestationError | undefined> {
  const recipient = input['Recipient'] as
    { readonly KeyEncryptionAlgorithm?: string; readonly AttestationDocument?: Uint8Array } | undefined;
  const document = recipient?.AttestationDocument;
  if (document === undefined || recipient?.KeyEncryptionAlgorithm === undefined) return undefined;
  try {
    return await attestations.verify(document, now);
  } catch (error) {
    if (error instanceof AttestationError) return error;
    throw error;
  }
}

export function provenBy(attested: Attestation | AttestationError | undefined): Attestation | undefined {
  return attested instanceof AttestationError ? undefined : attested;
}
