import { expect, test } from 'vitest';
import type { RedisClient } from './connect.ts';
import { newServiceCheck } from './durability.ts';

test('half of the replicas must have a write: one that has fallen silent is none, nor is one twice, nor a backup', async () => {
  const replica = (port: number, lag: number, state = 'online') =>
    `ip=10.0.0.${port % 7},port=${port},state=${state},offset=${lag}0,lag=${lag}`;
  const required = async (...replicas: string[]) => {
    const lines = replicas.map((one, i) => `slave${i}:${one}`);
    const said = ['aof_enabled:1', 'maxmemory_policy:noeviction', `connected_slaves:${replicas.length}`, ...lines];
    const client = { info: async () => [...said, 'min_slaves_good_slaves:1'].join('\r\n') };
    const config = { username: 'frontend', durability: 'strict' } as const;
    return (await newServiceCheck(client as unknown as RedisClient, config)()).replicas;
  };
  expect(await required(replica(1, 0), replica(2, 1))).toBe(1);
  expect(await required(replica(1, 0), replica(2, 1), replica(3, 5))).toBe(2);
  expect(await required(replica(1, 0), replica(2, 1), replica(3, 6))).toBe(1);
  expect(await required(replica(1, 0), replica(2, 1), replica(3, 58))).toBe(1);
  expect(await required(replica(1, 0), replica(2, 1), replica(1, 0))).toBe(1);
  expect(await required(replica(1, 0), replica(2, 1), replica(3, 0, 'wait_bgsave'), replica(0, 0))).toBe(1);
});
