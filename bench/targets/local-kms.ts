import getPort from 'get-port';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awsJson } from './aws-json.ts';
import { startServer } from './other-server.ts';
import type { Target } from './target.ts';

/** local-kms: one process in Go, which verifies no signature, has no policies and does not sync its store. */
export async function startLocalKms(name: string): Promise<Target & AsyncDisposable> {
  await using resources = new AsyncDisposableStack();
  const folder = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-local-kms-')));
  const port = await getPort({ host: '127.0.0.1' });
  const server = resources.use(
    await startServer({
      command: 'local-kms',
      args: [],
      env: { PORT: String(port), KMS_DATA_PATH: folder.path, KMS_REGION: 'us-east-1' },
      readyUrl: `http://127.0.0.1:${port}/`,
      install: 'go install github.com/nsmithuk/local-kms@latest puts it into $(go env GOPATH)/bin',
    }),
  );
  const owned = resources.move();
  return {
    name,
    endpoint: {
      transport: 'http1',
      tls: false,
      host: '127.0.0.1',
      port,
      signing: { region: 'us-east-1', accessKeyId: 'AKIALOCALKMS', secretAccessKey: 'any' },
    },
    protocol: awsJson(),
    processes: () => ({ 'local-kms': server.pid }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
