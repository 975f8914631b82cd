// Calls Keyfleet with the AWS SDK as customers do, its retries as they are by default, until stdin ends; then prints
// what came of each call, and which of the keys that it was told of are not there. argv: the endpoint, access key id,
// secret access key, milliseconds between two calls of a client, and how many of each client there are.
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  NotFoundException,
} from '@aws-sdk/client-kms';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const [endpoint = '', accessKeyId = '', secretAccessKey = '', pauseMs = '0', each = '1'] = process.argv.slice(2);
const kms = new KMSClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId, secretAccessKey } });
const calls: { operation: string; startedAt: number; endedAt: number; attempts: number; error?: string }[] = [];
const plaintext = Buffer.from('what a customer keeps');
const created: string[] = [];
let over = false;

const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
const KeyId = KeyMetadata!.Arn!;
const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId, Plaintext: plaintext }));

/** One client: the same call again and again. */
async function repeat(operation: string, call: () => Promise<{ $metadata: { attempts?: number } }>): Promise<void> {
  while (!over) {
    const startedAt = Date.now();
    try {
      const { $metadata } = await call();
      calls.push({ operation, startedAt, endedAt: Date.now(), attempts: $metadata.attempts ?? 1 });
    } catch (error) {
      const { $metadata } = error as { $metadata?: { attempts?: number } };
      calls.push({
        operation,
        startedAt,
        endedAt: Date.now(),
        attempts: $metadata?.attempts ?? 1,
        error: String(error),
      });
    }
    await delay(Number(pauseMs));
  }
}

const encrypt = () => kms.send(new EncryptCommand({ KeyId, Plaintext: plaintext }));
const decrypt = async () => {
  const answer = await kms.send(new DecryptCommand({ CiphertextBlob }));
  if (!plaintext.equals(answer.Plaintext!)) throw new Error('it decrypted to something else');
  return answer;
};
const createKey = async () => {
  const answer = await kms.send(new CreateKeyCommand({}));
  created.push(answer.KeyMetadata!.KeyId!);
  return answer;
};
const clients = Array.from({ length: Number(each) }, () => [
  repeat('Encrypt', encrypt),
  repeat('Encrypt', encrypt),
  repeat('GenerateDataKey', () => kms.send(new GenerateDataKeyCommand({ KeyId, KeySpec: 'AES_256' }))),
  repeat('Decrypt', decrypt),
  repeat('CreateKey', createKey),
]);
process.stdout.write('ready\n');
process.stdin.resume();
await once(process.stdin, 'end');
over = true;
await Promise.all(clients.flat());
const lost: string[] = [];
for (const keyId of created) {
  try {
    await kms.send(new DescribeKeyCommand({ KeyId: keyId }));
  } catch (error) {
    if (!(error instanceof NotFoundException)) throw error;
    lost.push(keyId);
  }
}
kms.destroy();
process.stdout.write(`${JSON.stringify({ calls, lost })}\n`);
