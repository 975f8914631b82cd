/**
 * Creates a KMS key over gRPC and encrypts with it:
 *
 *     npm run grpc-example -- [--home .keyfleet] [--address 127.0.0.1:8901]
 */
import { parseArgs } from 'node:util';
import { createKmsClient } from '@keyfleet/client';
import { homeCredentials } from './home-credentials.ts';

const { values } = parseArgs({
  options: {
    home: { type: 'string', default: '.keyfleet' },
    address: { type: 'string', default: '127.0.0.1:8901' },
    region: { type: 'string', default: 'us-east-1' },
  },
});
const { address, region } = values;

using kms = createKmsClient({ address, region, credentials: homeCredentials(values.home) });
const { KeyMetadata } = await kms.CreateKey({ Description: 'made by the gRPC example' });
const KeyId = KeyMetadata?.Arn ?? '';
console.log(KeyId);

const EncryptionContext = { purpose: 'example' };
const { CiphertextBlob } = await kms.Encrypt({ KeyId, Plaintext: Buffer.from('hello'), EncryptionContext });
const { Plaintext } = await kms.Decrypt({ CiphertextBlob: CiphertextBlob!, EncryptionContext });
console.log(Buffer.from(Plaintext!).toString());
