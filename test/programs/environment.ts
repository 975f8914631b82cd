import { join } from 'node:path';
import { inject } from 'vitest';

/** What AWS's own tools and SDKs read: where the cluster is, and the files that `npm start` wrote. */
export function awsEnvironment(): Record<string, string> {
  const { endpoint, home } = inject('cluster');
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_CONFIG_FILE: join(home, 'aws/config'),
    AWS_SHARED_CREDENTIALS_FILE: join(home, 'aws/credentials'),
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_MAX_ATTEMPTS: '1',
    AWS_PAGER: '',
  };
}
