import { CliError } from '../cli-error.ts';
import { isBackedUp, isRestored, isTokenList, parseBackup, readValues, writeValues } from '../backup-file.ts';
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
    const present = (await readValues(redis, (await allNames(redis)).filter(isBackedUp))).filter(
      // A domain-manager that kept running has put the tokens back, with newer ones, which members need.
      (there) => !(isTokenList(there.name) && values.some((value) => isRestored(there, value))),
    );
    if (present.length > 0) {
      throw new CliError(`this Redis is not empty (${present.length} values of Keyfleet): a backup replaces nothing.`);
    }
    await writeValues(redis, values);
    return { values: values.length };
  },
  text: ({ values }) => `${values} values are restored and compared.`,
});
