import { expect, test } from 'vitest';
import { ClusterHolders, nameOfCluster } from './cluster-holders.ts';

test('a member that said it lacks a cluster is not asked for it again, and still for others', () => {
  const holders = new ClusterHolders();
  expect(holders.notBy('cluster-a', undefined)).toBeUndefined();
  holders.lacks('cluster-a', 'member-1');
  holders.lacks('cluster-a', 'member-2');
  expect(holders.notBy('cluster-a', undefined)).toEqual(new Set(['member-1', 'member-2']));
  expect(holders.notBy('cluster-b', undefined)).toBeUndefined();
});

test('what members say of a name to another account or Region is nothing to the one that has the cluster', () => {
  const [account, region, clusterId] = ['111122223333', 'us-east-1', 'cluster-a'];
  const holders = new ClusterHolders();
  holders.lacks(nameOfCluster({ account: '444455556666', region, clusterId }), 'member-1');
  holders.lacks(nameOfCluster({ account, region: 'eu-west-1', clusterId }), 'member-1');
  expect(holders.notBy(nameOfCluster({ account, region, clusterId }), undefined)).toBeUndefined();
});

test('a worker that must be left out for another reason is left out as well', () => {
  const holders = new ClusterHolders();
  const others = new Set(['member-3']);
  expect(holders.notBy('cluster-a', others)).toBe(others);
  holders.lacks('cluster-a', 'member-1');
  expect(holders.notBy('cluster-a', others)).toEqual(new Set(['member-1', 'member-3']));
  expect(others).toEqual(new Set(['member-3']));
});

test('a member that comes back is asked for every cluster', () => {
  const holders = new ClusterHolders();
  for (const member of ['member-1', 'member-2']) holders.lacks('cluster-a', member);
  holders.lacks('cluster-b', 'member-1');
  holders.forget('member-1');
  expect(holders.notBy('cluster-a', undefined)).toEqual(new Set(['member-2']));
  expect(holders.notBy('cluster-b', undefined)).toBeUndefined();
});

test('of clusters that callers make up, a thousand are remembered', () => {
  const holders = new ClusterHolders();
  const clusters = Array.from({ length: 3_500 }, (_, i) => `cluster-${i}`);
  for (const cluster of clusters) holders.lacks(cluster, 'member-1');
  const known = clusters.filter((cluster) => holders.notBy(cluster, undefined) !== undefined);
  expect(known.length).toBeLessThanOrEqual(1_000);
  expect(known).toContain(clusters.at(-1));
});
