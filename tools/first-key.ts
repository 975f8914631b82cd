import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  type KeyMetadata,
  KMSClient,
  NotFoundException,
} from '@aws-sdk/client-kms';
import { Agent } from 'node:https';
import { readCredentials } from './aws-files.ts';
import type { Cluster } from './cluster.ts';

export interface FirstKey {
  readonly arn: string;
  /** False when an earlier start made it. */
  readonly created: boolean;
}

const AliasName = 'alias/first-key';

/** Finds the key behind alias/first-key, or creates it, through the AWS SDK as any client would. */
export async function provideFirstKey(cluster: Cluster): Promise<FirstKey> {
  const kms = new KMSClient({
    endpoint: cluster.endpoint,
    region: cluster.region,
    credentials: readCredentials(cluster.home),
    ...(cluster.ca !== undefined && { requestHandler: { httpsAgent: new Agent({ ca: cluster.ca }) } }),
  });
  try {
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: AliasName }));
    return { arn: arnOf(KeyMetadata), created: false };
  } catch (error) {
    if (!(error instanceof NotFoundException)) throw error;
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({ Description: 'made by npm start' }));
    const arn = arnOf(KeyMetadata);
    await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: arn }));
    return { arn, created: true };
  } finally {
    kms.destroy();
  }
}

function arnOf(metadata: KeyMetadata | undefined): string {
  if (metadata?.Arn === undefined) throw new Error('the response has no key ARN');
  return metadata.Arn;
}
