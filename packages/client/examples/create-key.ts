/**
 * Creates a KMS key over gRPC and encrypts with it:
 *
 *     node packages/client/examples/create-key.ts [--home .keyfleet] [--address 127.0.0.1:8901]
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createKmsClient } from '@keyfleet/client';

const { values } = parseArgs({
  options: {
    home: { type: 'string', default: '.keyfleet' },
    address: { type: 'string', default: '127.0.0.1:8901' },
    region: { type: 'string', default: 'us-east-1' },
  },
});

const file = readFileSync(join(values.home, 'aws', 'credentials'), 'utf8');
const field = (name: string) => new RegExp(`^${name} *= *(\\S+)$`, 'm').exec(file)?.[1] ?? '';
const credentials = { accessKeyId: field('aws_access_key_id'), secretAccessKey: field('aws_secret_access_key') };

using kms = createKmsClient({ address: values.address, region: values.region, credentials });
const { KeyMetadata } = await kms.CreateKey({ Description: 'made by the gRPC example' });
const KeyId = KeyMetadata?.Arn ?? '';
console.log(KeyId);

const EncryptionContext = { purpose: 'example' };
const { CiphertextBlob } = await kms.Encrypt({ KeyId, Plaintext: Buffer.from('hello'), EncryptionContext });
const { Plaintext } = await kms.Decrypt({ CiphertextBlob: CiphertextBlob!, EncryptionContext });
console.log(Buffer.from(Plaintext!).toString());
