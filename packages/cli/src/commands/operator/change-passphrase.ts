import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { command } from '../../command.ts';
import { newPassphraseOf, passphraseOf, passphraseOptions } from '../../options.ts';
import { sealOperatorKey } from '../../operator-key-file.ts';
import { loadSigningKey, replaceFile } from '../../signing-keys.ts';
import { fingerprintOf } from '../../text.ts';

export const changePassphrase = command({
  description: "Seal a person's signing key under another passphrase, in today's format.",
  args: {
    key: { type: 'string', description: 'The signing key.', valueHint: 'FILE', required: true },
    ...passphraseOptions,
    'new-passphrase-file': { type: 'string', description: 'Read the new passphrase from a file.', valueHint: 'FILE' },
  },
  async run(args, terminal) {
    const path = args.key;
    const { key } = await loadSigningKey(path, () => passphraseOf(args, terminal, `Passphrase of ${path}`));
    const passphrase = await newPassphraseOf(
      { 'passphrase-file': args['new-passphrase-file'] },
      terminal,
      `New passphrase for ${path}`,
    );
    replaceFile(path, sealOperatorKey(key, passphrase));
    return { key: path, fingerprint: fingerprintOf(encodedPublicKey(key)) };
  },
  text: ({ key, fingerprint }) =>
    [
      `${key} is sealed under the new passphrase. The key is the same: ${fingerprint}`,
      'Copies of the old file still open under the old one: destroy them, or have the key replaced.',
    ].join('\n'),
});
