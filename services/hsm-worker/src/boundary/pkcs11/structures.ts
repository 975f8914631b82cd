import type { Block, Memory } from './memory.ts';

// The structures of PKCS#11 that calls point to, for 64-bit modules.

const CKM_AES_GCM = 0x1087;
const [CKO_SECRET_KEY, CKK_AES] = [4, 0x1f];
const IV_LENGTH = 12;
export const TAG_LENGTH = 16;

const attributes = {
  class: 0,
  token: 1,
  private: 2,
  label: 3,
  keyType: 0x100,
  sensitive: 0x103,
  encrypt: 0x104,
  decrypt: 0x105,
  wrap: 0x106,
  unwrap: 0x107,
  sign: 0x108,
  verify: 0x10a,
  derive: 0x10c,
  valueLength: 0x161,
  extractable: 0x162,
} as const;
/** Attributes that an object is made with, or looked for by. */
export type Template = Partial<Record<keyof typeof attributes, number | boolean | string>>;

/** An AES key in the token. */
export function keyOf(label: string): Template {
  return { class: CKO_SECRET_KEY, keyType: CKK_AES, token: true, label };
}

/** Pointer and count, as call arguments. */
export function templateIn(memory: Memory, template: Template): [bigint, bigint] {
  const entries = Object.entries(template) as [keyof typeof attributes, number | boolean | string][];
  const words = entries.flatMap(([name, value]) => {
    const block = valueIn(memory, value);
    return [attributes[name], block.pointer, block.bytes.length];
  });
  return [memory.words(...words).pointer, BigInt(entries.length)];
}

function valueIn(memory: Memory, value: number | boolean | string): Block {
  if (typeof value === 'number') return memory.words(value);
  return memory.put(typeof value === 'string' ? Buffer.from(value) : Buffer.of(value ? 1 : 0));
}

/** A CK_MECHANISM with CK_GCM_PARAMS. */
export function gcmIn(memory: Memory, iv: Block, associatedData: Uint8Array): bigint {
  const data = memory.put(associatedData);
  const parameters = memory.words(
    iv.pointer,
    IV_LENGTH,
    8 * IV_LENGTH,
    data.pointer,
    associatedData.length,
    8 * TAG_LENGTH,
  );
  return memory.words(CKM_AES_GCM, parameters.pointer, parameters.bytes.length).pointer;
}

/** The text of a field padded with spaces. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8').trimEnd();
}
