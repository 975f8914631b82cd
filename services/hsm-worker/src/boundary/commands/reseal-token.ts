import { resealToken as reseal } from '../tokens/stored-token.ts';
import type { CommandHandler } from './command.ts';

export const resealToken: CommandHandler<'ResealToken'> = (stored, context) => ({ token: reseal(stored, context) });
