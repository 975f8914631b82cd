import { ConfigError } from '@keyfleet/shared/config';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { checkDurability } from '@keyfleet/shared/redis/durability';
import { restoreBackup } from '../backup/restore.ts';
import { loadTrustAnchor } from '../public-files.ts';
import { verb } from '../verb.ts';
import { Progress } from '../progress.ts';
import { openRedis, redisOptions } from '../redis-option.ts';
import { firstOf, leftOutText } from '../left-out.ts';
import type { Terminal } from '../terminal.ts';

export const restore = verb({
  description: 'Restore a backup into an empty Redis, compare every value, and rebuild the indexes.',
  args: {
    from: { type: 'positional', description: 'The backup.', required: true },
    ...redisOptions,
    'trust-anchor': {
      type: 'string',
      description: 'The trust anchor of the domain: also verify who founded it.',
      valueHint: 'FILE',
    },
  },
  async run(args, terminal) {
    const { from: path, 'trust-anchor': anchorFile } = args;
    const anchor = anchorFile === undefined ? undefined : loadTrustAnchor(anchorFile);
    await using redis = await openRedis(args);
    const replicas = await replicasOf(redis, terminal);
    const { values, leftOut, dangling, renamed, pendingDeletion, deletesFrom } = await restoreBackup(redis, {
      path,
      replicas,
      progress: new Progress(terminal),
      anchor,
    });
    return { values, leftOut, dangling, renamed, pendingDeletion, deletesFrom: new Date(deletesFrom).toISOString() };
  },
  text: ({ values, leftOut, dangling, renamed, pendingDeletion, deletesFrom }) =>
    [
      `${values} values were restored and compared.`,
      ...pendingText(pendingDeletion, deletesFrom),
      ...(dangling.length > 0 ? [`${dangling.length} aliases were left out: their keys had been deleted.`] : []),
      ...renamedText(renamed),
      ...leftOutText(leftOut),
    ].join('\n'),
  isWell: ({ leftOut }) => leftOut.length === 0,
});

/** What is to be decided before frontends delete them: a deletion may have been cancelled since the backup. */
function pendingText(pending: readonly string[], deletesFrom: string): string[] {
  if (pending.length === 0) return [];
  return [
    `${pending.length} keys are pending deletion, with these dates. Frontends delete no key before ${deletesFrom}: until then cancel what is not to be, also what was cancelled since the backup.`,
    ...firstOf(pending, ' (--json names them)'),
  ];
}

function renamedText(renamed: readonly string[]): string[] {
  if (renamed.length === 0) return [];
  return [
    `${renamed.length} users or groups were left out under a former name: they were renamed during the backup.`,
    ...firstOf(renamed, ' (--json names them)'),
  ];
}

/** Warns the operator if this Redis may lose it again; services that require more will refuse it. */
async function replicasOf(redis: RedisClient, terminal: Terminal): Promise<number> {
  try {
    return (await checkDurability(redis, 'strict')).replicas;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    terminal.note(error.message);
    return 0;
  }
}
