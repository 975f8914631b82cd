import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Attestations } from './attestations.ts';
import { NITRO_ROOT } from './nitro-root.ts';

/** Trusts AWS Nitro's root and those in the files (PEM, one each). Throws for a file without a certificate. */
export function loadAttestations(rootFiles: readonly string[]): Attestations {
  return new Attestations([derOf(NITRO_ROOT), ...rootFiles.map(readRoot)]);
}

function readRoot(file: string): Buffer {
  try {
    return derOf(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`attestationRootFiles: ${file} is not the file of a certificate (PEM)`, { cause: error });
  }
}

function derOf(pem: string): Buffer {
  return new X509Certificate(pem).raw;
}
