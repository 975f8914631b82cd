import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runCli } from './run-cli.ts';
import { keyfleet } from './keyfleet.ts';
import { loadSigner, newPassphraseOf } from './options.ts';
import type { Terminal } from './terminal.ts';

/** Each opening and sealing takes half a second on an idle core, on purpose. */
const scrypt = { timeout: 60_000 };

/** A person who types these lines. */
function personTyping(...lines: string[]): Terminal {
  return { write: () => {}, note: () => {}, askSecret: async () => lines.shift() ?? '' };
}

test('a new passphrase is asked for twice, and one that is short or typed differently is refused', async () => {
  const ask = (...lines: string[]) => newPassphraseOf({}, personTyping(...lines), 'New passphrase');
  expect(await ask('tremble lantern', 'tremble lantern')).toBe('tremble lantern');
  await expect(ask('tremble lantern', 'tremble lanterns')).rejects.toThrow('the two passphrases differ');
  await expect(ask('short', 'short')).rejects.toThrow('too short: use at least 15 characters');
  await expect(ask('a'.repeat(20), 'a'.repeat(20))).rejects.toThrow('repeats itself');
});

test(
  'a key file of an older release signs with a note, until it is sealed under a new passphrase',
  scrypt,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'keyfleet-options-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const key = join(dir, 'anna.pem');
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'old' }));
    const anna = { operatorId: 'anna', signingKey: encodedPublicKey(publicKey) };
    const notes: string[] = [];
    const typing = (...lines: string[]) => ({
      ...personTyping(...lines),
      note: (text: string) => void notes.push(text),
    });
    const sign = (passphrase: string) => loadSigner({ as: 'anna', key }, typing(passphrase), [anna]);

    await sign('old');
    expect(notes).toEqual([expect.stringContaining(`keyfleet operator change-passphrase --key ${key}`)]);

    const terminal = typing('old', 'tremble lantern', 'tremble lantern');
    const exitCode = await runCli(keyfleet(terminal), ['operator', 'change-passphrase', '--key', key], terminal);
    expect([exitCode, notes.length]).toEqual([0, 1]);
    expect((await sign('tremble lantern')).operatorId).toBe('anna');
    expect(notes).toHaveLength(1);
    await expect(sign('old')).rejects.toThrow('wrong passphrase');
  },
);
