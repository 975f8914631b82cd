import { IAM } from '@aws-sdk/client-iam';
import type { TestCluster } from '@keyfleet/test-support/cluster';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { expect } from 'vitest';
import type { ApiServer } from './api-server.ts';

const AUDIENCE = 'sts.amazonaws.com';

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

/** The frontend begins anew with this issuer, whose keys come from there. */
export async function trust(keyfleet: TestCluster, { url: issuer }: ApiServer, keys: object): Promise<void> {
  const file = keyfleet.home.in('config', 'frontend.json');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, oidcIssuers: [{ issuer, audiences: [AUDIENCE], ...keys }] }));
  await keyfleet.kill('frontend');
  await keyfleet.restart('frontend');
}

/** Who may assume a role, and what it may then do: policy documents. */
export interface RolePolicies {
  readonly trust: string;
  readonly use: string;
}

export function issuerOf({ url }: ApiServer): string {
  return url.replace('https://', '');
}

/** The ARN of a new role. */
export async function newRole(
  { endpoint, credentials, ca }: TestCluster,
  RoleName: string,
  { trust: AssumeRolePolicyDocument, use: PolicyDocument }: RolePolicies,
): Promise<string> {
  const tls = ca === undefined ? {} : { requestHandler: { httpsAgent: new Agent({ ca }) } };
  const iam = new IAM({ endpoint, credentials, region: 'us-east-1', ...tls });
  const { Role } = await iam.createRole({ RoleName, AssumeRolePolicyDocument });
  await iam.putRolePolicy({ RoleName, PolicyName: 'use', PolicyDocument });
  iam.destroy();
  return Role!.Arn!;
}

/** A token of a service account, as kubelet projects it into a Pod. */
export async function tokenOf(
  kubernetes: ApiServer,
  { namespace, name }: ServiceAccount,
  audience = AUDIENCE,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { status, json } = await kubernetes.post(path, { spec: { audiences: [audience], expirationSeconds: 600 } });
  expect(status).toBe(201);
  return (json as { status: { token: string } }).status.token;
}
