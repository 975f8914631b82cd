import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { GetParametersForImport, ImportKeyMaterial } from '@keyfleet/shared/api/import';
import { CreateKey, DescribeKey } from '@keyfleet/shared/api/keys';
import type { InputOf } from '@keyfleet/shared/api/operation';
import { ListKeyRotations, RotateKeyOnDemand } from '@keyfleet/shared/api/rotation';
import { wrapMaterial } from '@keyfleet/shared/wrap-material';
import { randomBytes } from 'node:crypto';
import { FakeFrontend, region as east } from './frontend.ts';
import { LocalHsm } from './local-hsm.ts';

export const forEver = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const;
export const asNew = { ImportType: 'NEW_KEY_MATERIAL' } as const;
export const asExisting = { ImportType: 'EXISTING_KEY_MATERIAL' } as const;

type How = Partial<InputOf<typeof ImportKeyMaterial>>;

const hsm = new LocalHsm();

/** A frontend, and a key whose material is imported. */
export let frontend: FakeFrontend<LocalHsm>;
export let KeyId: string;
export let Arn: string;

/** For `beforeEach`. */
export async function begin(kind: object): Promise<void> {
  frontend = new FakeFrontend(hsm);
  const { KeyMetadata } = await frontend.call(CreateKey, { Origin: 'EXTERNAL', ...kind });
  ({ KeyId, Arn = '' } = KeyMetadata!);
}

export const newMaterial = () => randomBytes(32);

async function requestOf(material: Uint8Array, how: How, region: string) {
  const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const;
  const { ImportToken, PublicKey } = await frontend.call(GetParametersForImport, { KeyId, ...wrapping }, { region });
  const EncryptedKeyMaterial = wrapMaterial('RSAES_OAEP_SHA_256', PublicKey!, material);
  return { KeyId, ImportToken, EncryptedKeyMaterial, ...(how.ValidTo === undefined && forEver), ...how };
}

export async function importIt(material: Uint8Array, how: How = {}, region = east): Promise<string> {
  const request = await requestOf(material, how, region);
  return (await frontend.call(ImportKeyMaterial, request, { region })).KeyMaterialId!;
}

export async function importRefusal(material: Uint8Array, how: How = {}, region = east): Promise<string> {
  return frontend.refusal(ImportKeyMaterial, await requestOf(material, how, region), { region });
}

export async function materials(region = east) {
  const request = { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const;
  return (await frontend.call(ListKeyRotations, request, { region })).Rotations!;
}

export const statesOf = async (region = east) =>
  (await materials(region)).map(({ KeyMaterialState, ImportState }) => `${KeyMaterialState} ${ImportState}`);
export const metadata = async (region = east) => (await frontend.call(DescribeKey, { KeyId }, { region })).KeyMetadata!;
export const rotate = () => frontend.call(RotateKeyOnDemand, { KeyId });
export const encrypt = async (text: string, region = east) =>
  (await frontend.call(Encrypt, { KeyId, Plaintext: Buffer.from(text) }, { region })).CiphertextBlob!;
export const decrypt = async (CiphertextBlob: Uint8Array, region = east) =>
  Buffer.from((await frontend.call(Decrypt, { CiphertextBlob }, { region })).Plaintext!).toString();

export const nothingPending = () =>
  `KMSInvalidStateException: No available key material pending rotation for the key: ${Arn}.`;
