import type { CommandName } from '@keyfleet/shared/hsm/commands';
import {
  checkBackingKey,
  checkToken,
  describeBackingKey,
  evictBackingKey,
  generateBackingKey,
  resealToken,
} from './backing-keys.ts';
import {
  checkCluster,
  connectCluster,
  disconnectCluster,
  decryptInCluster,
  destroyClusterKey,
  encryptInCluster,
  generateClusterKey,
  generateRandomInCluster,
} from './clusters.ts';
import type { CommandHandler } from './command.ts';
import { generateCredential, openCredential, sealCredential } from './credentials.ts';
import { generateDataKey, generateDataKeyPair, generateRandom } from './data-keys.ts';
import { decrypt, encrypt, reEncrypt } from './encryption.ts';
import { generateImportKey, importBackingKey } from './imports.ts';
import { generateMac, verifyMac } from './macs.ts';
import * as recipients from './recipients.ts';
import { decapsulate, deriveSharedSecret, encapsulate } from './shared-secrets.ts';
import { sign, verify } from './signatures.ts';

/** The handler of every HSM command. A missing one does not compile. */
export const handlers = {
  GenerateBackingKey: generateBackingKey,
  ResealToken: resealToken,
  GenerateCredential: generateCredential,
  OpenCredential: openCredential,
  CheckToken: checkToken,
  DescribeBackingKey: describeBackingKey,
  CheckBackingKey: checkBackingKey,
  GenerateImportKey: generateImportKey,
  ImportBackingKey: importBackingKey,
  SealCredential: sealCredential,
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
  CheckCluster: checkCluster,
  ConnectCluster: connectCluster,
  DisconnectCluster: disconnectCluster,
  GenerateClusterKey: generateClusterKey,
  EncryptInCluster: encryptInCluster,
  DecryptInCluster: decryptInCluster,
  DestroyClusterKey: destroyClusterKey,
  GenerateRandomInCluster: generateRandomInCluster,
  DecryptForRecipient: recipients.decryptForRecipient,
  GenerateDataKeyForRecipient: recipients.generateDataKeyForRecipient,
  GenerateDataKeyPairForRecipient: recipients.generateDataKeyPairForRecipient,
  GenerateRandomForRecipient: recipients.generateRandomForRecipient,
  DeriveSharedSecretForRecipient: recipients.deriveSharedSecretForRecipient,
  GenerateRandomInClusterForRecipient: recipients.generateRandomInClusterForRecipient,
} as const satisfies { readonly [N in CommandName]: CommandHandler<N> };
