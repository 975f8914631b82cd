import type { AuditSink } from '@keyfleet/frontend/audit/sink';
import type { CarryOutDeps } from '@keyfleet/frontend/background/due';
import { CreateKey } from '@keyfleet/shared/api/keys';
import type { DueKey } from '@keyfleet/shared/stored/due-entries';
import { carryOutAll } from './carry-out.ts';
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

export async function createKey(): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  return { KeyId: KeyMetadata?.KeyId ?? '', Arn: KeyMetadata?.Arn ?? '' };
}

export const carryOut = (overrides: Partial<CarryOutDeps> = {}, sink: Partial<AuditSink> = {}) =>
  carryOutAll(frontend, { onLeft: (due, error) => left.push({ due, error }), ...overrides }, sink);
