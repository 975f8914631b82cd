import { verb } from '../verb.ts';
import { sealOperatorKey } from '../operator-key-file.ts';
import { newPassphraseOf, passphraseOf, passphraseOptions } from '../options.ts';
import { formatOperator } from '../public-files.ts';
import { createHostKey, createOperatorKey, loadSigningKey, replaceFile, writeNewFile } from '../signing-keys.ts';
import { fingerprintOf } from '@keyfleet/shared/domain/fingerprint';
import { encodedPublicKey } from '@keyfleet/shared/domain/signature';
import { roles } from '@keyfleet/shared/domain/state';

export const createKey = verb({
  description: 'Make the signing key of a person, a frontend or a domain-manager.',
  args: {
    id: { type: 'string', description: 'Operator id in the domain.', valueHint: 'ID', required: true },
    role: { type: 'enum', description: 'operator: a person.', options: [...roles], default: 'operator' },
    out: { type: 'string', description: 'Key file to write; the public part is written beside it.', required: true },
    ...passphraseOptions,
  },
  async run(args, terminal) {
    const { id: operatorId, out, role } = args;
    const isPerson = role === 'operator';
    const signingKey = isPerson
      ? createOperatorKey(out, await newPassphraseOf(args, terminal, `New passphrase for ${out}`))
      : createHostKey(out);
    const publicFile = `${out.replace(/\.pem$/, '')}.pub.json`;
    writeNewFile(publicFile, formatOperator({ operatorId, role, signingKey }));
    return { operatorId, role, key: out, publicKey: publicFile, fingerprint: fingerprintOf(signingKey) };
  },
  text: ({ operatorId, role, key, publicKey, fingerprint }) =>
    [
      `Key of ${operatorId} (${role}): ${key}`,
      `Public part, for the other operators: ${publicKey}`,
      `Fingerprint, to compare aloud: ${fingerprint}`,
    ].join('\n'),
});

export const changePassphrase = verb({
  description: "Seal a person's signing key under another passphrase, in today's format.",
  args: {
    key: { type: 'string', description: 'The signing key.', valueHint: 'FILE', required: true },
    ...passphraseOptions,
    'new-passphrase-file': {
      type: 'string',
      description: 'Read the new passphrase from this file.',
      valueHint: 'FILE',
    },
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
      'Copies of the old file still open under the old passphrase: destroy them, or have the key replaced.',
    ].join('\n'),
});
