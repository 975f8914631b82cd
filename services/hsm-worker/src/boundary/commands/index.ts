import type { CommandName } from '@keyfleet/shared/hsm/commands';
import type { CommandHandler } from './command.ts';
import { checkToken } from './check-token.ts';
import { decapsulate } from './decapsulate.ts';
import { decrypt } from './decrypt.ts';
import { deriveSharedSecret } from './derive-shared-secret.ts';
import { describeBackingKey } from './describe-backing-key.ts';
import { encapsulate } from './encapsulate.ts';
import { encrypt } from './encrypt.ts';
import { evictBackingKey } from './evict-backing-key.ts';
import { generateBackingKey } from './generate-backing-key.ts';
import { generateCredential } from './generate-credential.ts';
import { generateDataKeyPair } from './generate-data-key-pair.ts';
import { generateDataKey } from './generate-data-key.ts';
import { generateMac } from './generate-mac.ts';
import { generateRandom } from './generate-random.ts';
import { openCredential } from './open-credential.ts';
import { reEncrypt } from './re-encrypt.ts';
import { resealToken } from './reseal-token.ts';
import { sign } from './sign.ts';
import { verifyMac } from './verify-mac.ts';
import { verify } from './verify.ts';

/** The handler of every command: one that is missing does not compile. */
export const handlers = {
  GenerateBackingKey: generateBackingKey,
  ResealToken: resealToken,
  GenerateCredential: generateCredential,
  OpenCredential: openCredential,
  CheckToken: checkToken,
  DescribeBackingKey: describeBackingKey,
  Encrypt: encrypt,
  Decrypt: decrypt,
  ReEncrypt: reEncrypt,
  GenerateDataKey: generateDataKey,
  GenerateDataKeyPair: generateDataKeyPair,
  GenerateRandom: generateRandom,
  Sign: sign,
  Verify: verify,
  GenerateMac: generateMac,
  VerifyMac: verifyMac,
  DeriveSharedSecret: deriveSharedSecret,
  Encapsulate: encapsulate,
  Decapsulate: decapsulate,
  EvictBackingKey: evictBackingKey,
} as const satisfies { readonly [N in CommandName]: CommandHandler<N> };
