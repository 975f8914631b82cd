/**
 * Makes test/vectors/kms/domain-wrapped-dkeks.json, for a member of its own. The file stays for ever: what is in it
 * must open in every later release. Run with Node: `node test/vectors/make-wrapped-dkeks.ts`.
 */
import { testSealKey } from '@keyfleet/test-support/domain';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrapDkek } from '@keyfleet/hsm-worker/boundary/domain/wrapped-dkek';
import { newIdentity } from '@keyfleet/hsm-worker/boundary/identity';

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const identity = newIdentity('hsm-1');
const { memberId, signingKey, agreementKey, encapsulationKey } = identity;
const state = { version: 2, domain: 'test', generation: 7 } as const;
const dkek = Buffer.from(Array.from({ length: 32 }, (_, i) => i));

const vectors = {
  about: 'The DKEK of one token, wrapped for a member, and for one with these keys but for ML-KEM, as from version 1.',
  sealKey: base64(Buffer.alloc(32, 7)),
  sealedIdentity: base64(identity.seal(testSealKey)),
  state,
  dkek: base64(dkek),
  wrapped: [encapsulationKey, undefined].map((kem) => {
    const { encapsulated, ...parts } = wrapDkek(
      dkek,
      { memberId, signingKey, agreementKey, encapsulationKey: kem },
      state,
    );
    return {
      memberId,
      ephemeralKey: base64(parts.ephemeralKey),
      iv: base64(parts.iv),
      sealed: base64(parts.sealed),
      ...(encapsulated && { encapsulated: base64(encapsulated) }),
    };
  }),
};
const path = join(import.meta.dirname, 'kms', 'domain-wrapped-dkeks.json');
writeFileSync(path, `${JSON.stringify(vectors, undefined, 2)}\n`, { flag: 'wx' });
