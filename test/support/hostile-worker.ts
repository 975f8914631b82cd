// hsm-workers, the first of them hostile: what it seals for storage has the right header and does not open.
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

if (basename(process.argv.at(-1) ?? '', '.json').endsWith('-1')) {
  const { ResealToken, GenerateBackingKey } = handlers;
  Object.assign(handlers, { ResealToken: spoiling(ResealToken), GenerateBackingKey: spoiling(GenerateBackingKey) });
}
await import('@keyfleet/hsm-worker/main');
