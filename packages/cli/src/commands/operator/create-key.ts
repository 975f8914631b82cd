import { roles } from '@keyfleet/shared/domain/state';
import { command } from '../../command.ts';
import { newPassphraseOf, passphraseOptions } from '../../options.ts';
import { formatOperator } from '../../public-files.ts';
import { createHostKey, createOperatorKey, writeNewFile } from '../../signing-keys.ts';
import { fingerprintOf } from '../../text.ts';

export const createKey = command({
  description: 'Make the signing key of a person, a frontend or a domain-manager.',
  args: {
    id: { type: 'string', description: 'Name in the domain.', valueHint: 'ID', required: true },
    role: { type: 'enum', description: 'operator: a person.', options: [...roles], default: 'operator' },
    out: { type: 'string', description: 'Where the key goes; the public part goes beside it.', required: true },
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
      `Public part, to be given to the others: ${publicKey}`,
      `Fingerprint, to be compared aloud: ${fingerprint}`,
    ].join('\n'),
});
