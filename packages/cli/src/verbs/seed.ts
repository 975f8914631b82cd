import { kmsOptions, openKms } from '../kms/client.ts';
import { plant, type Planted } from '../seed/plant.ts';
import { readSeed } from '../seed/seed-file.ts';
import { tableOf } from '../text.ts';
import { verb } from '../verb.ts';

export const seed = verb({
  description: 'Create the keys of a seed file that do not exist yet.',
  args: {
    file: { type: 'positional', description: 'YAML: of Keyfleet, or of local-kms.', required: true },
    ...kmsOptions,
  },
  async run(args) {
    const planned = await readSeed(args.file);
    const kms = openKms(args);
    const keys: Planted[] = [];
    for (const key of planned) keys.push(await plant(kms, key));
    return { keys };
  },
  text: ({ keys }) => tableOf([['KEY', '', 'ALIASES'], ...keys.map(rowOf)]),
});

function rowOf({ keyId, aliases, created }: Planted): string[] {
  return [keyId, created ? 'created' : 'existed', aliases.join(' ')];
}
