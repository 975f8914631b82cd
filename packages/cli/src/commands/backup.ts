import { formatBackup, inBackupOrder, parseBackup, readValue, type StoredValue } from '../backup-file.ts';
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
    const values: StoredValue[] = [];
    for (const name of inBackupOrder(await allNames(redis))) {
      const value = await readValue(redis, name);
      if (value !== undefined) values.push(value);
    }
    writeNewFile(args.out, formatBackup(values));
    return { file: args.out, values: parseBackup(readTextFile(args.out)).length };
  },
  text: ({ file, values }) => `${values} values are in ${file}. It was read back and is whole.`,
});
