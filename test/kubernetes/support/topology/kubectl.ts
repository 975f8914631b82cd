import { readFileSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseManifests } from '@keyfleet/test-support/manifests';
import { execa } from 'execa';
import { kubernetesBinaries } from '../binaries.ts';
import { node } from './container.ts';
import { writeProgram } from './first-start.ts';
import { Rendered } from './rendered.ts';
import type { Topology } from './topology.ts';

/** argv: the socket, then what kubectl is called with. */
const client = `
const [socket, ...args] = process.argv.slice(1);
const connection = require('node:net').connect(socket);
connection.end(JSON.stringify({ args, cwd: process.cwd() }));
require('node:stream/consumers').json(connection).then(({ exitCode, stdout, stderr }) => {
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  process.exitCode = exitCode;
});
`;

interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const options = {
  container: { type: 'string', short: 'c' },
  output: { type: 'string', short: 'o' },
  kustomize: { type: 'string', short: 'k' },
  filename: { type: 'string', short: 'f' },
  'from-file': { type: 'string' },
  'dry-run': { type: 'string' },
  for: { type: 'string' },
  all: { type: 'boolean' },
  replicas: { type: 'string' },
  patch: { type: 'string' },
  'patch-file': { type: 'string' },
  wait: { type: 'string' },
  force: { type: 'boolean' },
} as const;

type Called = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  return { values, positionals };
}

/**
 * A program `kubectl` for shells, whose cluster is a topology: what docs/kubernetes.md asks of nodes, as kubelet and
 * the controllers do it. It waits until it is done.
 */
export class Kubectl implements AsyncDisposable {
  readonly #topology: Topology;
  readonly #server: Server;

  private constructor(topology: Topology) {
    this.#topology = topology;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      let asked = '';
      socket.setEncoding('utf8').on('data', (part: string) => (asked += part));
      socket.once('end', () => void this.#answer(asked).then((answer) => socket.end(JSON.stringify(answer))));
    });
  }

  /** Writes the program into the directory, and cert-manager's `cmctl`. */
  static async in(directory: string, topology: Topology): Promise<Kubectl> {
    const socket = join(directory, 'kubectl.socket');
    const kubectl = new Kubectl(topology);
    kubectl.#server.listen(socket);
    await once(kubectl.#server, 'listening');
    writeFileSync(join(directory, 'kubectl.cjs'), client);
    // One to Redis is ended by who began it.
    const forward = 'case "$1 $2" in "port-forward pod/redis"*) exec sleep 600 >/dev/null 2>&1 ;; esac';
    const script = `${forward}\nexec "${process.execPath}" -e "$(cat "${directory}/kubectl.cjs")" -- "${socket}" "$@"`;
    writeProgram(directory, 'kubectl', script);
    writeProgram(directory, 'cmctl', script.replace('"$@"', 'cmctl "$@"'));
    return kubectl;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async #answer(asked: string): Promise<Answer> {
    const { args, cwd } = JSON.parse(asked) as { readonly args: readonly string[]; readonly cwd: string };
    try {
      return await this.#run(parse(args), cwd);
    } catch (error) {
      return { exitCode: 1, stdout: '', stderr: `kubectl ${args.join(' ')}: ${String(error)}\n` };
    }
  }

  async #run({ values, positionals: [verb, ...rest] }: Called, cwd: string): Promise<Answer> {
    const topology = this.#topology;
    switch (verb) {
      case 'exec':
        return this.#exec(rest, values.container);
      case 'logs':
        return said(this.#logs(rest));
      case 'get':
        return said(this.#get(rest, values.output));
      case 'patch':
        this.#patch(rest, values.patch ?? readFileSync(resolve(cwd, values['patch-file']!), 'utf8'));
        return said('');
      case 'apply':
        if (values.filename !== undefined) this.#applyFile(resolve(cwd, values.filename));
        else await topology.apply(await Rendered.of(resolve(cwd, values.kustomize!)));
        return said('');
      case 'create':
        return said(await this.#create(rest, values, cwd));
      // What it waits for was done by the command before.
      case 'wait':
        return said('');
      case 'cmctl':
        await this.#renew(rest, values.all === true);
        return said('');
      case 'scale':
        await Promise.all(rest.map((workload) => topology.scale(appOf(workload), Number(values.replicas))));
        return said('');
      case 'delete':
        await this.#delete(rest, values.wait !== 'false');
        return said('');
      case 'rollout':
        await this.#rollout(rest);
        return said('');
      // The laptop has one for each of its command lines.
      case 'port-forward':
        return said('');
      default:
        throw new Error('not known here');
    }
  }

  async #exec([target = '', program, ...args]: readonly string[], container?: string): Promise<Answer> {
    const [first] = this.#topology.pods(appOf(target));
    const pod = target.includes('/') ? first! : this.#topology.pod(target);
    // Where the image has it.
    const command = [program === '/keyfleet/bin/node' ? node : program!, ...args];
    const { exitCode, signal = 'SIGKILL', stdout, stderr } = await pod.exec(command, container);
    return { exitCode: exitCode ?? 128 + constants.signals[signal], stdout: `${stdout}\n`, stderr: `${stderr}\n` };
  }

  /** Of a Pod of a StatefulSet: all that its container has said, before its last start too. */
  #logs([name = '']: readonly string[]): string {
    return readFileSync(this.#topology.pod(name).logFile(name.replace(/-\d+$/, '')), 'utf8');
  }

  #get([kind, name = '']: readonly string[], output = ''): string {
    const [, key] = /^jsonpath=\{\.data\.(.+)\}$/.exec(output) ?? [];
    if (kind !== 'secret' || key === undefined) throw new Error('not known here');
    return this.#secret(name)[key.replaceAll('\\', '')]!.toString('base64');
  }

  /** A ConfigMap; the real kubectl says what it would be. */
  async #create([kind, name = '']: readonly string[], values: Called['values'], cwd: string): Promise<string> {
    if (kind !== 'configmap') throw new Error('not known here');
    const { kubectl } = await kubernetesBinaries();
    const { 'from-file': from = '', 'dry-run': dryRun, output = 'yaml' } = values;
    const args = ['create', 'configmap', name, `--from-file=${from}`, '--dry-run=client', '--output', output];
    const { stdout } = await execa(kubectl, args, { cwd });
    if (dryRun !== undefined) return stdout;
    this.#store(stdout);
    return '';
  }

  #applyFile(file: string): void {
    this.#store(readFileSync(file, 'utf8'));
    this.#topology.refreshVolumes();
  }

  #store(manifest: string): void {
    const found = new Rendered(parseManifests(manifest) as never).configMaps();
    for (const [name, data] of found) this.#topology.objects.configMaps.set(name, data);
  }

  async #renew([verb]: readonly string[], all: boolean): Promise<void> {
    const { certManager } = this.#topology.objects;
    if (verb !== 'renew' || !all) throw new Error('not known here');
    await certManager.issue(certManager.secretNames);
    this.#topology.refreshVolumes();
  }

  #patch([kind, name = '']: readonly string[], patch: string): void {
    if (kind !== 'secret') throw new Error('not known here');
    const { data } = JSON.parse(patch) as { readonly data: Readonly<Record<string, string | null>> };
    const next = new Map(Object.entries(this.#secret(name)));
    for (const [key, value] of Object.entries(data)) {
      if (value === null) next.delete(key);
      else next.set(key, Buffer.from(value, 'base64'));
    }
    this.#topology.objects.secrets.set(name, Object.fromEntries(next));
    this.#topology.refreshVolumes();
  }

  #secret(name: string): Readonly<Record<string, Buffer>> {
    const secret = this.#topology.objects.secrets.get(name);
    if (secret === undefined) throw new Error(`no secret ${name}`);
    return secret;
  }

  async #delete([kind, ...names]: readonly string[], waits: boolean): Promise<void> {
    if (kind === 'pod') await Promise.all(names.map((name) => this.#topology.replacePod(name)));
    else if (kind === 'pvc') for (const name of names) this.#deleteClaim(name, waits);
    else if (kind === 'secret' && names.join() === 'keyfleet-ca') {
      await this.#topology.objects.certManager.remakeAuthority();
    } else throw new Error('not known here');
  }

  #deleteClaim(name: string, waits: boolean): void {
    const user = this.#topology.userOf(name);
    if (waits && user !== undefined) throw new Error(`would wait until ${user.name} is gone`);
    this.#topology.deleteClaim(name);
  }

  async #rollout([what, ...workloads]: readonly string[]): Promise<void> {
    const apps = workloads.map(appOf);
    if (what === 'restart') await Promise.all(apps.map((app) => this.#topology.rollingRestart(app)));
    else if (what === 'status') await Promise.all(apps.map((app) => this.#topology.awaitReady(app)));
    else throw new Error('not known here');
  }
}

function said(stdout: string): Answer {
  return { exitCode: 0, stdout, stderr: '' };
}

/** `statefulset/redis` */
function appOf(workload: string): string {
  return workload.split('/').at(-1)!;
}
