import { IAM } from '@aws-sdk/client-iam';
import { KMS } from '@aws-sdk/client-kms';
import { STS } from '@aws-sdk/client-sts';
import { inject } from 'vitest';

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** The AWS SDK's clients of the shared cluster, as its administrator unless told otherwise. One attempt each. */
export function clientsOf(credentials: Credentials = inject('cluster').credentials) {
  const settings = { endpoint: inject('cluster').endpoint, credentials, region: 'us-east-1', maxAttempts: 1 };
  return { iam: new IAM(settings), kms: new KMS(settings), sts: new STS(settings) };
}

/** A policy document of statements, each an Allow of actions on everything unless it says otherwise. */
export function policyOf(...statements: readonly object[]): string {
  const Statement = statements.map((statement) => ({ Effect: 'Allow', Resource: '*', ...statement }));
  return JSON.stringify({ Version: '2012-10-17', Statement });
}

/** A new user's clients, with a policy. */
export async function newUserOf(UserName: string, policy?: string) {
  const { iam } = clientsOf();
  await iam.createUser({ UserName });
  if (policy !== undefined) await iam.putUserPolicy({ UserName, PolicyName: 'own', PolicyDocument: policy });
  const { AccessKey } = await iam.createAccessKey({ UserName });
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = AccessKey!;
  const credentials = { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! };
  return { accessKeyId: accessKeyId!, credentials, ...clientsOf(credentials) };
}
