import { resealToken as reseal } from '../tokens/reseal.ts';
import type { CommandHandler } from './command.ts';

export const resealToken: CommandHandler<'ResealToken'> = ({ token }, context) => ({ token: reseal(token, context) });
