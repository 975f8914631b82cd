import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CreateKey, DescribeKey } from '@keyfleet/shared/api/keys';
import { ReplicateKey } from '@keyfleet/shared/api/multi-region';
import { accountId, FakeFrontend } from './frontend.ts';
import { LocalHsm } from './local-hsm.ts';

export const [west, south] = ['eu-west-1', 'ap-south-1'] as const;
export const inWest = { region: west };
export const inSouth = { region: south };

/** A frontend, and a multi-Region key in its usual Region. */
export let frontend: FakeFrontend<LocalHsm>;
export let KeyId: string;

/** For `beforeEach`. */
export async function newFrontend(): Promise<void> {
  frontend = new FakeFrontend(new LocalHsm());
  await takeNewKey();
}

/** A new key takes the place of the present one. */
export async function takeNewKey(request: object = {}): Promise<void> {
  KeyId = await newKey(request);
}

export async function newKey(request: object = {}): Promise<string> {
  const { KeyMetadata } = await frontend.call(CreateKey, { MultiRegion: true, ...request });
  return KeyMetadata!.KeyId;
}

export const arnIn = (where: string) => `arn:aws:kms:${where}:${accountId}:key/${KeyId}`;
export const keyIn = (where: string) => ({ Arn: arnIn(where), Region: where });

export function replicate(request: object = {}) {
  return frontend.call(ReplicateKey, { KeyId, ReplicaRegion: west, ...request });
}

export async function describeIn(where: string) {
  return (await frontend.call(DescribeKey, { KeyId }, { region: where })).KeyMetadata!;
}

export async function encryptIn(where: string): Promise<Uint8Array> {
  const { CiphertextBlob } = await frontend.call(Encrypt, { KeyId, Plaintext: Buffer.from(where) }, { region: where });
  return CiphertextBlob!;
}

export async function decryptIn(where: string, CiphertextBlob: Uint8Array): Promise<string> {
  const { Plaintext } = await frontend.call(Decrypt, { CiphertextBlob }, { region: where });
  return Buffer.from(Plaintext!).toString();
}
