import type { CommandHandler } from './command.ts';

export const evictBackingKey: CommandHandler<'EvictBackingKey'> = ({ materialId }, { backingKeys }) => {
  backingKeys.evict(materialId);
  return {};
};
