import { signByNoble, verifyByNoble } from '@keyfleet/hsm-worker/boundary/crypto/noble-signatures';
import type { NobleSignatures } from '@keyfleet/hsm-worker/boundary/crypto/noble-thread';

/** Signs on the calling thread: in a test no other customer waits. */
export const nobleSignatures: NobleSignatures = {
  sign: async (algorithm, privateKey, message) => Buffer.from(signByNoble(algorithm, privateKey, message)),
  verify: async (algorithm, publicKey, signed) => verifyByNoble(algorithm, publicKey, signed),
};
