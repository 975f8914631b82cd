import { formatBackup, isBackedUp, isTokenList, parseBackup, readValues } from '../backup-file.ts';
import { command } from '../command.ts';
import { allNames, openRedis, redisOptions } from '../redis-option.ts';
import { readTextFile, writeNewFile } from '../signing-keys.ts';

export const backup = command({
  description: 'Write everything in Redis to a file, while the service runs, and read it back to be sure.',
  args: {
    ...redisOptions,
    out: { type: 'string', description: 'Where it goes.', valueHint: 'FILE', required: true },
  },
  async run(args) {
    await using redis = await openRedis(args);
    const names = (await allNames(redis)).filter(isBackedUp);
    const others = names.filter((name) => !isTokenList(name));
    // Domain tokens come last: then they hold every domain key that any value before them is sealed under.
    const values = [...(await readValues(redis, others)), ...(await readValues(redis, names.filter(isTokenList)))];
    writeNewFile(args.out, formatBackup(values));
    return { file: args.out, values: parseBackup(readTextFile(args.out)).length };
  },
  text: ({ file, values }) => `${values} values are in ${file}. It was read back and is whole.`,
});
