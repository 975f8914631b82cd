import { execa } from 'execa';
import { expect, inject, test } from 'vitest';

const { curl } = inject('programs');
const { endpoint, credentials } = inject('cluster');

async function post(operation: string, body: object, secret = credentials.secretAccessKey): Promise<unknown> {
  // Through standard input, as arguments can be read by everybody on the machine.
  const config = [
    `url = "${endpoint}"`,
    'silent',
    'aws-sigv4 = "aws:amz:us-east-1:kms"',
    `user = "${credentials.accessKeyId}:${secret}"`,
    'header = "Content-Type: application/x-amz-json-1.1"',
    `header = "X-Amz-Target: TrentService.${operation}"`,
    `data = ${JSON.stringify(JSON.stringify(body))}`,
  ];
  const { stdout } = await execa(curl!, ['--config', '-'], { input: config.join('\n') });
  return JSON.parse(stdout);
}

test.runIf(curl)('curl --aws-sigv4 signs what Keyfleet accepts', async () => {
  const { KeyMetadata: key } = (await post('CreateKey', {})) as { KeyMetadata: { KeyId: string; Arn: string } };
  const Plaintext = Buffer.from('attack at dawn').toString('base64');
  const { CiphertextBlob } = (await post('Encrypt', { KeyId: key.KeyId, Plaintext })) as { CiphertextBlob: string };
  expect(await post('Decrypt', { CiphertextBlob })).toMatchObject({ KeyId: key.Arn, Plaintext });
  expect(await post('ListKeys', {}, 'not the secret')).toMatchObject({ __type: 'InvalidSignatureException' });
});
