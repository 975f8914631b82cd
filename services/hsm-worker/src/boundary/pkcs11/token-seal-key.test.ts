import { randomBytes } from 'node:crypto';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoftHsm } from '@keyfleet/test-support/soft-hsm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WrappedSealKey } from '../seal-key.ts';
import { newTokenSealKey, openTokenSealKey, type SealTokenOptions } from './token-seal-key.ts';

/** Against SoftHSM2. */
const pin = 'pin-of-the-worker';
const resources = new AsyncDisposableStack();
let token: SoftHsm;
beforeAll(async () => {
  const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-seal-'))).path;
  token = await SoftHsm.make(directory, { label: 'test', pin });
});
afterAll(() => resources.disposeAsync());

function optionsFor(keyLabel: string, overrides: Partial<SealTokenOptions> = {}): SealTokenOptions {
  const { environment, label } = token;
  const { module } = SoftHsm;
  const of = { memberId: 'hsm-1', random: randomBytes, timeoutMs: 20_000 };
  return { module, token: { label }, environment, keyLabel, ...of, ...overrides };
}

const pinBytes = (text = pin): Buffer => Buffer.from(text);
const make = (options: SealTokenOptions) => newTokenSealKey(options, pinBytes());
const open = (options: SealTokenOptions, wrapped: WrappedSealKey) => openTokenSealKey(options, pinBytes(), wrapped);

test('an identity sealed by a key in the token opens through the token, and the key stays there', async () => {
  const options = optionsFor('first');
  const made = await make(options);
  const [plaintext, header] = [Buffer.from('an identity'), Buffer.from('header')];
  const sealed = made.seal(plaintext, header);
  const again = await open(options, made.wrapped!);
  expect(again.open(sealed, header)).toEqual(plaintext);
  const listed = await token.listKeys(pin);
  expect(listed).toMatch(/label: +first/);
  expect(listed).toMatch(/Access: +sensitive, always sensitive, never extract[ai]+ble, local/);
});

test('two seal keys of one key of the token are two, and neither is of another member', async () => {
  const options = optionsFor('shared');
  const [one, two] = [await make(options), await make(options)];
  expect(() => two.open(one.seal(Buffer.from('x'), Buffer.of()), Buffer.of())).toThrow();
  const other = optionsFor('shared', { memberId: 'hsm-2' });
  await expect(open(other, one.wrapped!)).rejects.toThrow('"shared" is not the one that sealed this identity');
});

test('the PIN is overwritten, whether the token takes it or not', async () => {
  const right = pinBytes();
  await newTokenSealKey(optionsFor('wiped'), right);
  const wrong = pinBytes('not-the-pin');
  await expect(newTokenSealKey(optionsFor('wiped'), wrong)).rejects.toThrow(/^the token refuses the PIN/);
  expect([...right, ...wrong].filter((byte) => byte !== 0)).toEqual([]);
});

test('a missing key is not made again for an identity that it sealed', async () => {
  const options = optionsFor('lost');
  const { wrapped } = await make(options);
  const elsewhere = optionsFor('never-made');
  const gone = /^the token has no key "never-made" any more/;
  await expect(open(elsewhere, wrapped!)).rejects.toThrow(gone);
  await expect(open(elsewhere, wrapped!)).rejects.toThrow(gone);
});

test('another key of the same label does not open, and two of one label are an error', async () => {
  const { wrapped } = await make(optionsFor('original'));
  await token.makeKey(pin, 'twin', '--sensitive');
  await expect(open(optionsFor('twin'), wrapped!)).rejects.toThrow('"twin" is not the one that sealed');
  await token.makeKey(pin, 'twin', '--sensitive');
  await expect(open(optionsFor('twin'), wrapped!)).rejects.toThrow('several keys in the token are called "twin"');
  await expect(make(optionsFor('twin'))).rejects.toThrow('several keys in the token are called "twin"');
});

test('a key that can leave the token seals nothing', async () => {
  await token.makeKey(pin, 'loose', '--extractable');
  await expect(make(optionsFor('loose'))).rejects.toThrow('"loose" is no AES-256 key that stays in the token');
});

test.each([
  ['a token that is not there', { token: { label: 'another' } }, /reach its token "another": it has no such token/],
  ['a file that is no module', { module: '/etc/hostname' }, /^the module \/etc\/hostname does not reach its token/],
])('%s is named', async (_what, overrides, text) => {
  await expect(make(optionsFor('any', overrides))).rejects.toThrow(text);
});
