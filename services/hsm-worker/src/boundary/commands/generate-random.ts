import type { CommandHandler } from './command.ts';

export const generateRandom: CommandHandler<'GenerateRandom'> = ({ length }, { random }) => ({ bytes: random(length) });
