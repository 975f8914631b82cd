// Makes what a run of the topology makes, says so, and waits to be killed.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Container } from './container.ts';
import { Network } from './network.ts';
import { directoryPrefix } from './remains.ts';

const network = await Network.start();
const { namespace } = await network.add();
const directory = mkdtempSync(directoryPrefix);
const container = new Container(
  {
    namespace,
    command: ['sleep', 'infinity'],
    mounts: [],
    env: { HOSTNAME: 'left' },
    user: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
    logFile: join(directory, 'log'),
  },
  mkdtempSync(join(directory, 'root-')),
);
process.stdout.write(`${process.pid}\n`);
await container.ended;
