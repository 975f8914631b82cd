import { CliError } from '../cli-error.ts';
import { isBackedUp, isRestored, isTokenList, parseBackup, readValue, writeValue } from '../backup-file.ts';
import { command } from '../command.ts';
import { allNames, openRedis, redisOptions } from '../redis-option.ts';
import { readTextFile } from '../signing-keys.ts';

export const restore = command({
  description: 'Write a backup into an empty Redis, and compare every value afterwards.',
  args: {
    from: { type: 'positional', description: 'The backup.', required: true },
    ...redisOptions,
  },
  async run(args) {
    const values = parseBackup(readTextFile(args.from));
    await using redis = await openRedis(args);
    // A domain-manager that kept running puts the newest tokens back before anyone else can: members need them.
    const present = (await allNames(redis)).filter((name) => isBackedUp(name) && !isTokenList(name));
    if (present.length > 0) {
      throw new CliError(`this Redis is not empty (${present.length} values of Keyfleet): a backup replaces nothing.`);
    }
    for (const value of values) await writeValue(redis, value);
    for (const value of values) {
      if (!isRestored(await readValue(redis, value.name), value))
        throw new CliError(`${value.name} is not what the backup says.`);
    }
    return { values: values.length };
  },
  text: ({ values }) => `${values} values are restored and compared.`,
});
