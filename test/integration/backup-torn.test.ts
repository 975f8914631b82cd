import { restoreBackup } from '@keyfleet/cli/backup/restore';
import { takeBackup } from '@keyfleet/cli/backup/take';
import type { Progress } from '@keyfleet/cli/progress';
import { systemClock } from '@keyfleet/shared/clock';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { openStore } from '@keyfleet/test-support/redis-store';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';

// A backup has each value of another moment: what a restore makes of those that do not belong together.

const progress = { tell: () => {} } as unknown as Progress;

const redis = useRedis();
let path: string;
beforeEach(() => {
  const dir = mkdtempSync(join(tmpdir(), 'keyfleet-backup-'));
  path = join(dir, 'backup');
  return () => rmSync(dir, { recursive: true });
});

test('what a restore drops is no difference from the backup when it goes on', async () => {
  const store = openStore({ ...redis, clock: systemClock });
  const scope = { accountId: '111122223333', region: 'us-east-1' };
  const alias = { name: 'alias/gone', targetKeyId: 'deleted-meanwhile', createdAt: 1, updatedAt: 1 };
  await store.insertAlias(scope, alias, 9);
  await takeBackup(redis.client, { path, resume: false, progress });
  await redis.client.flushall();
  const dies = new Proxy(redis.client, {
    get: (target, member) => {
      if (member === 'del') return () => Promise.reject(new Error('killed'));
      const value: unknown = Reflect.get(target, member);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  await expect(restoreBackup(dies, { path, replicas: 0, progress })).rejects.toThrow('killed');
  await restoreBackup(redis.client, { path, replicas: 0, progress });
  expect(await store.findAlias(scope, alias.name)).toBeUndefined();
});
