// hsm-workers, the first of them hostile: what it seals for storage has the right header and does not open, and it
// finds another secret in the access keys of users.
import type { CommandHandler } from '@keyfleet/hsm-worker/boundary/commands/command';
import { handlers } from '@keyfleet/hsm-worker/boundary/commands/handlers';
import { basename } from 'node:path';

type Sealing = 'ResealToken' | 'GenerateBackingKey';

function spoiling<N extends Sealing>(honest: CommandHandler<N>): CommandHandler<N> {
  return async (...args) => {
    const output = await honest(...args);
    const token = Buffer.from(output.token);
    token[token.length - 1]! ^= 1;
    return { ...output, token };
  };
}

function lying(honest: CommandHandler<'OpenCredential'>): CommandHandler<'OpenCredential'> {
  return (input, ...args) =>
    input.principal.includes(':user/') ? { secretAccessKey: Buffer.from('A'.repeat(40)) } : honest(input, ...args);
}

if (basename(process.argv.at(-1) ?? '', '.json').endsWith('-1')) {
  const { ResealToken, GenerateBackingKey, OpenCredential } = handlers;
  Object.assign(handlers, {
    ResealToken: spoiling(ResealToken),
    GenerateBackingKey: spoiling(GenerateBackingKey),
    OpenCredential: lying(OpenCredential),
  });
}
await import('@keyfleet/hsm-worker/main');
