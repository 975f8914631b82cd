/**
 * The most characters of an encryption context, keys and values together. The limit is ours: policies match each pair
 * against each of their patterns, and the pairs are authenticated with every ciphertext. A grant's constraints stay far
 * below. HSMs hold frontends to it.
 */
export const MAX_ENCRYPTION_CONTEXT = 8_192;

/** In UTF-16 code units, as AWS counts. */
export function lengthOfPairs(pairs: Readonly<Record<string, string>>): number {
  let length = 0;
  for (const key in pairs) length += key.length + pairs[key]!.length;
  return length;
}
