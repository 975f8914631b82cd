import type { OperationName, operations } from '@keyfleet/shared/api/registry';
import { createAlias } from './aliases/create-alias.ts';
import { deleteAlias } from './aliases/delete-alias.ts';
import { listAliases } from './aliases/list-aliases.ts';
import { updateAlias } from './aliases/update-alias.ts';
import { decrypt } from './cipher/decrypt.ts';
import { encrypt } from './cipher/encrypt.ts';
import { generateDataKey } from './data-keys/generate-data-key.ts';
import type { Deps, Handler, KeyCall } from './handler.ts';
import { createKey } from './keys/create-key.ts';
import { describeKey } from './keys/describe-key.ts';
import { getPublicKey } from './keys/get-public-key.ts';
import { listKeys } from './keys/list-keys.ts';
import { getKeyPolicy } from './policies/get-key-policy.ts';
import { listKeyPolicies } from './policies/list-key-policies.ts';
import { putKeyPolicy } from './policies/put-key-policy.ts';

/** Every operation that this release has, each with its one handler. */
const handlers = {
  CreateAlias: createAlias,
  CreateKey: createKey,
  Decrypt: decrypt,
  DeleteAlias: deleteAlias,
  DescribeKey: describeKey,
  Encrypt: encrypt,
  GenerateDataKey: generateDataKey,
  GetKeyPolicy: getKeyPolicy,
  GetPublicKey: getPublicKey,
  ListAliases: listAliases,
  ListKeyPolicies: listKeyPolicies,
  ListKeys: listKeys,
  PutKeyPolicy: putKeyPolicy,
  UpdateAlias: updateAlias,
} satisfies { [N in OperationName]?: Handler<(typeof operations)[N]> };

/** A handler as the pipeline sees it: its input is validated, its call holds what its operation's access says. */
export type AnyHandler = (input: Readonly<Record<string, unknown>>, call: KeyCall, deps: Deps) => Promise<unknown>;

/** Undefined for an operation that is known and not in this release. */
export function findHandler(name: string): AnyHandler | undefined {
  return Object.hasOwn(handlers, name) ? (handlers[name as keyof typeof handlers] as AnyHandler) : undefined;
}
