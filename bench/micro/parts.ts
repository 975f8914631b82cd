// What the parts of a request cost, each alone: node bench/micro/parts.ts [name].
import { parseKeyPolicy } from '@keyfleet/frontend/policy/document';
import { evaluate } from '@keyfleet/frontend/policy/evaluate';
import { BackingKeyCache } from '@keyfleet/hsm-worker/boundary/keys/backing-keys';
import { handlers } from '@keyfleet/hsm-worker/boundary/commands/handlers';
import { requestCodec, responseCodec } from '@keyfleet/shared/api/aws-json';
import { Encrypt } from '@keyfleet/shared/api/cipher';
import { monotonicClock, systemClock } from '@keyfleet/shared/clock';
import {
  canonicalRequest,
  deriveSigningKey,
  isSameSignature,
  newSigningSecret,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4';
import { decodeRequests, encodeRequests, FrameOpener, FrameSealer } from '@keyfleet/shared/hsm/frame';
import { testContext } from '@keyfleet/test-support/command-context';
import { createSecretKey, hash, randomBytes } from 'node:crypto';
import { RequestSigner } from '../wire/request-signer.ts';
import { measureCost } from './cost.ts';

const account = '111122223333';
const keyId = '00000000-0000-4000-8000-000000000000';
const arn = `arn:aws:kms:us-east-1:${account}:key/${keyId}`;
const user = `arn:aws:iam::${account}:user/bench`;
const plaintext = Buffer.alloc(32, 7);
const encryptionContext = { purpose: 'benchmark' };
const body = Buffer.from(
  JSON.stringify({ KeyId: arn, Plaintext: plaintext.toString('base64'), EncryptionContext: encryptionContext }),
);

// The signature of a request.
const signing = { region: 'us-east-1', accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'bench' };
const signer = new RequestSigner({ transport: 'http1', tls: false, host: '127.0.0.1', port: 8900, signing });
const unsigned = {
  method: 'POST',
  path: '/',
  headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'TrentService.Encrypt' },
  body,
};
const signed = signer.sign(unsigned, Math.floor(Date.now() / 1000));
const headers = new Map(signed.headers);
const amzDate = headers.get('x-amz-date')!;
const [, date = '', signedHeaders = '', signature = ''] =
  /Credential=[^/]+\/(\d+)\/.*SignedHeaders=([^,]+), Signature=(\w+)/.exec(headers.get('authorization')!) ?? [];
const scope = { date, region: signing.region, service: 'kms' };
const signingKey = deriveSigningKey(newSigningSecret(signing.secretAccessKey), scope);

/** What a frontend does once it has the credential: with the same code. */
function verifySignature(): void {
  const payloadHash = hash('sha256', body, 'hex');
  const canonical = canonicalRequest({ method: 'POST', path: '/', query: '', headers, payloadHash }, signedHeaders)!;
  const isGenuine = isSameSignature(signatureOf(signingKey, stringToSign(canonical, amzDate, scope)), signature);
  if (!isGenuine) throw new Error('the signature does not verify');
}

await measureCost('SigV4: sign', 50_000, () => signer.sign(unsigned, 1_700_000_000));
await measureCost('SigV4: verify, with the hash of the body', 50_000, verifySignature);

// A decision.
const statement = {
  Effect: 'Allow',
  Principal: { AWS: `arn:aws:iam::${account}:root` },
  Action: 'kms:*',
  Resource: '*',
};
const named = { Effect: 'Allow', Principal: { AWS: user }, Action: ['kms:Encrypt', 'kms:Decrypt'], Resource: '*' };
const conditional = { ...named, Condition: { StringEquals: { 'kms:EncryptionContext:purpose': 'benchmark' } } };
const context = { find: (name: string) => (name.endsWith('purpose') ? 'benchmark' : undefined) };
const requester = { arn: user, accountId: account, identityPolicies: [] };
for (const [name, statements] of Object.entries({ named: [named], 'with a condition': [statement, conditional] })) {
  const keyPolicy = parseKeyPolicy(JSON.stringify({ Version: '2012-10-17', Statement: statements }));
  const request = { requester, action: 'kms:Encrypt', resource: arn, ownerId: account, keyPolicy, context };
  if (evaluate(request) !== 'allowed') throw new Error(`the policy ${name} does not allow`);
  await measureCost(`policy: decision, ${name}`, 200_000, () => evaluate(request));
}

// JSON.
const request = requestCodec(Encrypt);
const response = responseCodec(Encrypt);
const output = { KeyId: arn, CiphertextBlob: randomBytes(160), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' } as const;
await measureCost('JSON: read and validate an Encrypt', 200_000, () => request.parse(body));
await measureCost('JSON: write the answer of an Encrypt', 200_000, () => response.encode(output));

// Frames between frontend and worker, as each end does it.
const frameKey = createSecretKey(randomBytes(32));
for (const count of [1, 16]) {
  const entries = Array.from({ length: count }, (_, id) => ({
    id,
    code: 2,
    remainingMs: 5000,
    signed: false,
    trace: undefined,
    input: Buffer.alloc(400),
  }));
  const [sealer, opener] = [new FrameSealer(frameKey), new FrameOpener(frameKey)];
  await measureCost(`frame of ${count}: encode, seal, open, decode`, 50_000, () =>
    decodeRequests(opener.open(sealer.seal(encodeRequests({ entries, signature: undefined })))),
  );
}

// In the boundary.
const boundary = testContext({
  clock: systemClock,
  random: randomBytes,
  backingKeys: new BackingKeyCache({ monotonicClock, maxBytes: 64 << 20, maxAgeMs: 600_000 }),
});
const making = { keyId, account, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' } as const;
const { token } = await handlers.GenerateBackingKey(making, boundary, undefined);
const encrypt = { keyId, account, token, algorithm: 'SYMMETRIC_DEFAULT', encryptionContext, plaintext };
await measureCost('boundary: open an EKT', 50_000, () => {
  boundary.backingKeys.clear();
  return boundary.backingKeys.open(token, boundary.keyring);
});
await measureCost('boundary: Encrypt, KDF and AES-GCM, key cached', 50_000, () =>
  handlers.Encrypt(encrypt, boundary, undefined),
);
