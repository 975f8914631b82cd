import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { KMS } from '@aws-sdk/client-kms';
import { startTestCluster, type TestCluster } from '@keyfleet/test-support/cluster';
import { killAmid } from '@keyfleet/test-support/killed-changes';
import { newSeeded, seedOf } from '@keyfleet/test-support/seeded';
import { wrapped } from '@keyfleet/test-support/wrapped';
import { afterAll, beforeAll, expect, test } from 'vitest';

// Real processes are killed while material is imported, deleted and expires.

const region = 'us-east-1';
const KEYS = 16;
const Plaintext = Buffer.from('attack at dawn');

let cluster: TestCluster;
let kms: KMS;
const resources = new AsyncDisposableStack();
/** By key id. */
const materials = new Map<string, Buffer>();
/** By key id: a ciphertext of an import that was acknowledged. */
const ciphertexts = new Map<string, Uint8Array>();

beforeAll(async () => {
  cluster = resources.use(await startTestCluster({ workers: 2, dueWorkEvery: '1s' }));
  const { endpoint, credentials } = cluster;
  kms = resources.adopt(new KMS({ endpoint, credentials, region, maxAttempts: 1 }), (it) => it.destroy());
});
afterAll(() => resources.disposeAsync());

async function newExternal(): Promise<string> {
  const { KeyMetadata } = await kms.createKey({ Origin: 'EXTERNAL' });
  materials.set(KeyMetadata!.KeyId!, randomBytes(32));
  return KeyMetadata!.KeyId!;
}

/** `expiresAt`: milliseconds since the epoch. */
async function importInto(KeyId: string, { material = materials.get(KeyId)!, expiresAt = 0 } = {}): Promise<void> {
  const expiration =
    expiresAt === 0
      ? ({ ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const)
      : ({ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: new Date(expiresAt) } as const);
  await kms.importKeyMaterial({ KeyId, ...(await wrapped(kms, KeyId, material)), ...expiration });
}

async function newImported(options?: { expiresAt: number }): Promise<string> {
  const KeyId = await newExternal();
  await importInto(KeyId, options);
  ciphertexts.set(KeyId, (await kms.encrypt({ KeyId, Plaintext })).CiphertextBlob!);
  return KeyId;
}

const newKeys = (newKey: () => Promise<string>): Promise<string[]> =>
  Promise.all(Array.from({ length: KEYS }, () => newKey()));

const nameOf = (call: Promise<unknown>): Promise<string> => call.then(() => '', ({ name }: Error) => name); // prettier-ignore

/** A key has its material, works and says so, or has none, does not work and says so. Whether it has. */
async function expectWhole(KeyId: string): Promise<boolean> {
  const { KeyMetadata } = await kms.describeKey({ KeyId });
  const { KeyState, ExpirationModel } = KeyMetadata!;
  expect(['Enabled', 'PendingImport']).toContain(KeyState);
  const hasMaterial = KeyState === 'Enabled';
  expect(ExpirationModel !== undefined, KeyId).toBe(hasMaterial);
  expect(await nameOf(kms.encrypt({ KeyId, Plaintext }))).toBe(hasMaterial ? '' : 'KMSInvalidStateException');
  return hasMaterial;
}

/** Its material can be imported, again or at last, and opens what it ever encrypted; no other can. */
async function expectItsMaterial(KeyId: string): Promise<void> {
  await importInto(KeyId);
  expect(await nameOf(importInto(KeyId, { material: randomBytes(32) }))).toBe('IncorrectKeyMaterialException');
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext });
  for (const blob of [CiphertextBlob, ciphertexts.get(KeyId)]) {
    if (blob === undefined) continue;
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob: blob })).Plaintext!)).toEqual(Plaintext);
  }
}

const kills = [
  ['frontend'],
  ['frontend', 'redis'],
  ['hsm-worker-1', 'hsm-worker-2'],
  ['frontend', 'domain-manager', 'nats'],
];

const changes = [
  { name: 'ImportKeyMaterial', newKey: newExternal, make: (id: string) => importInto(id), hasMaterialAfter: true },
  {
    name: 'DeleteImportedKeyMaterial',
    newKey: () => newImported(),
    make: (KeyId: string) => kms.deleteImportedKeyMaterial({ KeyId }),
    hasMaterialAfter: false,
  },
];

test.each(changes)(
  '$name is done or never was after processes were killed in the middle, and what was acknowledged is done',
  async ({ name, newKey, make, hasMaterialAfter }) => {
    const random = newSeeded(seedOf(name));
    let interrupted = 0;
    for (const victims of kills) {
      const ids = await newKeys(newKey);
      const acknowledged = await killAmid(ids, make, { cluster, victims, random });
      interrupted += KEYS - acknowledged.size;
      for (const id of ids) {
        const hasMaterial = await expectWhole(id);
        if (acknowledged.has(id)) expect(hasMaterial).toBe(hasMaterialAfter);
        await expectItsMaterial(id);
      }
    }
    // Or the kills came too late for the test to show anything.
    expect(interrupted).toBeGreaterThan(0);
  },
  120_000,
);

/** Long enough to import into all of them and to use them. */
const UNTIL_EXPIRY_MS = 8_000;

test('material expires at its second whoever is killed then, and can be imported again', async () => {
  const random = newSeeded(seedOf('expiry'));
  for (const victims of kills) {
    // Whole seconds: that is how the API has them.
    const expiresAt = Math.floor((Date.now() + UNTIL_EXPIRY_MS) / 1_000) * 1_000;
    const ids = await newKeys(() => newImported({ expiresAt }));
    await delay(expiresAt - Date.now() + random.between(-30, 100));
    await cluster.kill(...victims);
    await cluster.restart(...victims);
    for (const id of ids) {
      expect(await expectWhole(id)).toBe(false);
      const CiphertextBlob = ciphertexts.get(id);
      expect(await nameOf(kms.decrypt({ CiphertextBlob }))).toBe('KMSInvalidStateException');
      await expectItsMaterial(id);
    }
  }
}, 180_000);
