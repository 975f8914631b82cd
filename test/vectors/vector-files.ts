import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** The value with every byte string in it in base64. */
export function inBase64(value: unknown): unknown {
  if (value instanceof Uint8Array) return base64(value);
  if (Array.isArray(value)) return value.map(inBase64);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, inBase64(field)]));
}

/** A file that exists stays for ever: what it holds must open in every later release. */
export function write(name: string, content: object): void {
  const path = join(import.meta.dirname, 'kms', name);
  if (existsSync(path)) return console.log(`${name} is there and stays`);
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
}
