import type { AuditSink } from '@keyfleet/frontend/audit/sink';
import type { CarryOutDeps } from '@keyfleet/frontend/background/due';
import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { CreateKey, DescribeKey, ListKeys } from '@keyfleet/shared/api/keys';
import type { DueKey } from '@keyfleet/shared/stored/due-entries';
import { expect } from 'vitest';
import { carryOutAll, countDue } from './carry-out.ts';
import { FakeFrontend } from './frontend.ts';

/** A frontend with a key, and what could not be carried out. */
export let frontend: FakeFrontend;
export let key: { KeyId: string; Arn: string };
export let left: { due: DueKey; error: unknown }[];

/** For `beforeEach`. */
export async function begin(): Promise<void> {
  frontend = new FakeFrontend();
  left = [];
  key = await createKey();
}

/** The same, where the key has an alias. */
export async function beginNamed(): Promise<void> {
  await begin();
  await frontend.call(CreateAlias, { AliasName: 'alias/doomed', TargetKeyId: key.KeyId });
}

export async function createKey(): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  return { KeyId: KeyMetadata?.KeyId ?? '', Arn: KeyMetadata?.Arn ?? '' };
}

export const carryOut = (overrides: Partial<CarryOutDeps> = {}, sink: Partial<AuditSink> = {}) =>
  carryOutAll(frontend, { onLeft: (due, error) => left.push({ due, error }), ...overrides }, sink);

export async function aliasNames(): Promise<unknown[]> {
  const { Aliases = [] } = await frontend.call(ListAliases, {});
  return Aliases.map(({ AliasName }) => AliasName);
}

/** The key, and all that names it. */
export async function expectGone(): Promise<void> {
  expect(await frontend.refusal(DescribeKey, key)).toBe(`NotFoundException: Key '${key.Arn}' does not exist`);
  expect((await frontend.call(ListKeys, {})).Keys).toEqual([]);
  expect(await aliasNames()).toEqual([]);
  expect(await countDue(frontend.store)).toBe(0);
}
