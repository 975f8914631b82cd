import { X509Certificate } from 'node:crypto';
import { extensionsOf, issue, pcrOf, TestEnclave, TestNitro } from '@keyfleet/test-support/attestation';
import { decode, encode } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Attestations } from './attestations.ts';
import { NITRO_ROOT } from './nitro-root.ts';

const now = Date.UTC(2026, 10, 23, 12);
const nitro = await TestNitro.make(now);
/** Of an X.509 certificate. */
const KEY_AGREEMENT = 16;
const enclave = new TestEnclave();
const attestations = new Attestations([nitro.root]);
const genuine = await nitro.document(enclave.publicKey);

/** The refusal's message; the test fails if there is none. */
async function refusal(document: Uint8Array, at = now, trusting = attestations): Promise<string> {
  const error: unknown = await trusting.verify(document, at).then(
    () => new Error('it was believed'),
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'AttestationError' });
  return (error as Error).message;
}

test('a document says which enclave it is, what it runs and its key', async () => {
  const { platform, moduleId, pcrs, publicKey } = await attestations.verify(genuine, now);
  expect(platform).toBe('enclave');
  expect(moduleId).toBe('i-0123456789abcdef0-enc0123456789abcdef');
  expect([...pcrs.keys()]).toEqual([0, 1, 2, 3, 4, 8]);
  expect(pcrs.get(8)).toEqual(pcrOf(8));
  expect(Buffer.from(publicKey)).toEqual(enclave.publicKey);
});

test('a document of NitroTPM says which instance it is, what it booted and its key', async () => {
  const { platform, moduleId, pcrs, publicKey } = await attestations.verify(
    await nitro.instanceDocument(enclave.publicKey),
    now,
  );
  expect([platform, moduleId]).toEqual(['nitro-tpm', 'i-0123456789abcdef0-tpm0000000000000000']);
  expect([...pcrs.keys()]).toEqual(Array.from({ length: 24 }, (_, index) => index));
  expect(pcrs.get(7)).toEqual(pcrOf(7));
  expect(Buffer.from(publicKey)).toEqual(enclave.publicKey);
});

test('a document may be tagged as a COSE_Sign1', async () => {
  await expect(attestations.verify(Buffer.concat([Buffer.of(0xd2), genuine]), now)).resolves.toBeDefined();
  expect(await refusal(Buffer.concat([Buffer.of(0xd3), genuine]))).toBe('The attestation document is malformed.');
});

test("the root that is shipped is AWS Nitro's, by the fingerprint that AWS publishes", () => {
  expect(new X509Certificate(NITRO_ROOT).fingerprint256).toBe(
    '64:1A:03:21:A3:E2:44:EF:E4:56:46:31:95:D6:06:31:7E:D7:CD:CC:3C:17:56:E0:98:93:F3:C6:8F:79:BB:5B',
  );
});

test('a document under another root proves nothing', async () => {
  const stranger = await TestNitro.make(now);
  const expected = 'The attestation document is not signed under a trusted root.';
  expect(await refusal(await stranger.document(enclave.publicKey))).toBe(expected);
  expect(await refusal(genuine, now, new Attestations([new X509Certificate(NITRO_ROOT).raw]))).toBe(expected);
  expect(await refusal(genuine, now, new Attestations([]))).toBe(expected);
  // The trusted root before a chain that it never issued.
  const mixed = stranger.withChain([nitro.chain[0]!, ...stranger.chain.slice(1)]);
  expect(await refusal(await mixed.document(enclave.publicKey))).toMatch('has a certificate of another issuer');
});

test('a changed signature and a changed payload do not verify', async () => {
  const signature = Buffer.from(genuine);
  signature[signature.length - 1]! ^= 1;
  expect(await refusal(signature)).toMatch('a signature that does not verify');
  const payload = Buffer.from(genuine);
  payload[payload.indexOf(pcrOf(4)) + 5]! ^= 1;
  expect(await refusal(payload)).toMatch('a signature that does not verify');
});

test.each([-300_001, 300_001])('a document made %i ms from now is refused', async (apart) => {
  expect(await refusal(genuine, now - apart)).toMatch('is not of the last five minutes');
  await expect(attestations.verify(genuine, now - apart + Math.sign(apart))).resolves.toBeDefined();
});

test.each([
  ['root', 0],
  ['authority', 1],
  ['certificate', 3],
])('an expired %s is refused', async (_what, place) => {
  const valid = { notBefore: now - 2000, notAfter: now - 1000 };
  const isLeaf = place === 3;
  const { chain } = nitro;
  const issuer = chain[place - 1];
  const extensions = isLeaf ? extensionsOf.leaf() : extensionsOf.authority();
  const expired = await issue({ name: 'expired', ...(issuer && { issuer }), extensions, ...valid });
  const changed = nitro.withChain(chain.with(place, expired));
  const trusting = new Attestations([changed.root]);
  expect(await refusal(await changed.document(enclave.publicKey), now, trusting)).toMatch('that is not valid now');
});

type Extensions = ReturnType<typeof extensionsOf.leaf>;

async function withLast(place: number, extensions: Extensions): Promise<TestNitro> {
  const { chain } = nitro;
  const valid = { notBefore: now - 1000, notAfter: now + 1000 };
  const made = await issue({ name: 'other', issuer: chain[place - 1]!, extensions, ...valid });
  return nitro.withChain([...chain.slice(0, place), made]);
}

test.each([
  ['below an authority that may have none below it', async () => extended(extensionsOf.authority(), 3)],
  ['that an enclave signed', async () => extended(extensionsOf.leaf(), 4)],
  ['of an authority that signs a document itself', async () => withLast(3, extensionsOf.authority())],
  ['not for signatures', async () => withLast(3, extensionsOf.leaf(KEY_AGREEMENT))],
  ['without a usage', async () => withLast(3, [])],
])('a certificate %s is refused', async (_what, make) => {
  const document = await (await make()).document(enclave.publicKey);
  expect(await refusal(document)).toMatch('a certificate that may not be used so');
});

/** With one more certificate at `place`, and an enclave's below it. */
async function extended(extensions: Extensions, place: number): Promise<TestNitro> {
  const { chain } = nitro;
  const valid = { notBefore: now - 1000, notAfter: now + 1000 };
  const middle = await issue({ name: 'middle', issuer: chain[place - 1]!, extensions, ...valid });
  const leaf = await issue({ name: 'last', issuer: middle, extensions: extensionsOf.leaf(), ...valid });
  return nitro.withChain([...chain.slice(0, place), middle, leaf]);
}

test.each([
  ['another digest', { digest: 'SHA256' }],
  ['no digest', { digest: undefined }],
  ['an empty module id', { module_id: '' }],
  ['a time in seconds and a half', { timestamp: 1.5 }],
  ['no registers', { pcrs: new Map() }],
  ['a register 32', { pcrs: new Map([[32, pcrOf(0)]]) }],
  ['a short register', { pcrs: new Map([[0, Buffer.alloc(47)]]) }],
  ['no authorities', { cabundle: [] }],
  ['a long certificate', { certificate: Buffer.alloc(1025) }],
  ['a long key', { public_key: Buffer.alloc(1025) }],
  ['registers of an enclave and of a TPM', { nitrotpm_pcrs: new Map([[4, pcrOf(4)]]) }],
  ['no registers of a TPM', { pcrs: undefined, nitrotpm_pcrs: new Map() }],
  ['registers of neither', { pcrs: undefined }],
  ['an unknown member', { tpm_pcrs: new Map([[4, pcrOf(4)]]) }],
])('a document with %s is malformed', async (_what, changed) => {
  expect(await refusal(await nitro.document(enclave.publicKey, changed))).toBe(
    'The attestation document is malformed.',
  );
});

test.each([
  ['no key', undefined, 'has no public key'],
  ['no real key', Buffer.from('dummy'), 'has a malformed public key'],
  ['a key of 1024 bits', new TestEnclave(1024).publicKey, 'none of RSA with 2048, 3072 or 4096 bits'],
])('a document with %s is refused', async (_what, key, expected) => {
  expect(await refusal(await nitro.document(key))).toMatch(expected);
});

test('nothing may follow a document or its payload, and no member may occur twice', async () => {
  expect(await refusal(Buffer.concat([genuine, Buffer.of(0)]))).toMatch('is malformed');
  const [, , payload] = decode(genuine, { useMaps: true }) as Uint8Array[];
  expect(await refusal(await nitro.sign(Buffer.concat([payload!, Buffer.of(0)])))).toMatch('is malformed');
  const twice = Buffer.concat([payload!, encode('digest'), encode('SHA384')]);
  twice[0]! += 1;
  expect(await refusal(await nitro.sign(twice))).toMatch('is malformed');
});

test('a document that is too large, or nests too deeply, is refused at once', async () => {
  expect(await refusal(Buffer.alloc(262_144, 0x81))).toMatch('is too large');
  expect(await refusal(Buffer.alloc(16_000, 0x81))).toMatch('is malformed');
});

test('no change of a byte and no other bytes are believed, and nothing but a refusal comes of them', async () => {
  const changes = fc.tuple(fc.nat(genuine.length - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(changes, async ([at, by]) => {
      const changed = Buffer.from(genuine);
      changed[at]! ^= by;
      expect(await refusal(changed)).not.toBe('');
    }),
    { numRuns: 150 },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      expect(await refusal(bytes)).not.toBe('');
    }),
    { numRuns: 300 },
  );
});
