// hsm-workers of which the first one is hostile: whatever it seals for storing has the right header, and does not open.
import { basename } from 'node:path';
import type { CommandHandler } from '../../services/hsm-worker/src/boundary/commands/command.ts';
import { handlers } from '../../services/hsm-worker/src/boundary/commands/handlers.ts';

type Sealing = 'ResealToken' | 'GenerateBackingKey';

function spoiling<N extends Sealing>(honest: CommandHandler<N>): CommandHandler<N> {
  return async (input, context) => {
    const output = await honest(input, context);
    const token = Buffer.from(output.token);
    token[token.length - 1]! ^= 1;
    return { ...output, token };
  };
}

if (basename(process.argv.at(-1) ?? '', '.json').endsWith('-1')) {
  const { ResealToken, GenerateBackingKey } = handlers;
  Object.assign(handlers, { ResealToken: spoiling(ResealToken), GenerateBackingKey: spoiling(GenerateBackingKey) });
}
await import('../../services/hsm-worker/src/main.ts');
