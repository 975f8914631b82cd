import type { NobleSignatures } from '../../services/hsm-worker/src/boundary/crypto/noble-thread.ts';
import { signByNoble, verifyByNoble } from '../../services/hsm-worker/src/boundary/crypto/noble-signatures.ts';

/** Signs on the calling thread: a test keeps no other customer waiting. */
export const nobleSignatures: NobleSignatures = {
  sign: async (algorithm, privateKey, message) => Buffer.from(signByNoble(algorithm, privateKey, message)),
  verify: async (algorithm, publicKey, signed) => verifyByNoble(algorithm, publicKey, signed),
};
