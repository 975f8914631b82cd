import { runRecipe, shellBlocksOf } from '@keyfleet/test-support/recipe';
import { kms } from '@keyfleet/test-support/sdk-client';
import { expect, inject, test } from 'vitest';
import { awsEnvironment } from './environment.ts';

test.runIf(inject('programs').aws)(
  'the commands of docs/multi-region.md do what the page says, one after the other',
  async () => {
    const blocks = shellBlocksOf('multi-region.md');
    expect(blocks).toHaveLength(4);
    const printed = await runRecipe(`${blocks.join('\n')}\necho "KEY=$KEY"`, awsEnvironment());
    expect(printed).toContain('attack at dawn');
    expect(printed).toMatch(/"MultiRegionKeyType": "REPLICA"/);
    const [, KeyId] = /^KEY=(mrk-[0-9a-f]{32})$/m.exec(printed)!;
    // Here is the replica now, for the other Region became the primary's.
    const { KeyMetadata } = await kms.describeKey({ KeyId });
    expect(KeyMetadata).toMatchObject({
      KeyState: 'PendingDeletion',
      MultiRegionConfiguration: { MultiRegionKeyType: 'REPLICA', PrimaryKey: { Region: 'eu-west-1' } },
    });
  },
  60_000,
);
