import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { StartCommand } from '@keyfleet/test-support/start-command';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newPort } from '../../tools/ports.ts';

// `npm start` as a person meets it. The tests share one home, in this order: made, found again, then damaged.
let directory: Awaited<ReturnType<typeof mkdtempDisposable>>;
let home: string;
let options: string[];
let httpPort: number;
let grpcPort: number;
let firstKey: string;

beforeAll(async () => {
  directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-start-'));
  home = join(directory.path, 'home');
  httpPort = await newPort();
  grpcPort = await newPort();
  options = ['--home', home, '--http-port', `${httpPort}`, '--grpc-port', `${grpcPort}`];
});

afterAll(() => directory[Symbol.asyncDispose]());

function start(...more: string[]): StartCommand {
  return new StartCommand([...options, ...more]);
}

/** Runs it and expects that it does not start; resolves to its one line. */
async function refusal(...more: string[]): Promise<string> {
  await using command = start(...more);
  expect(await command.ended()).not.toBe(0);
  const lines = command.output.split('\n').filter((line) => line.startsWith('keyfleet: '));
  expect(lines, command.output).toHaveLength(1);
  return lines[0] ?? '';
}

function pids(): number[] {
  const names = readdirSync(join(home, 'run')).filter((name) => name.endsWith('.pid'));
  return names.map((name) => Number(readFileSync(join(home, 'run', name), 'utf8')));
}

function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Answers what a worker that starts is asked, as another cluster's would. */
async function listenAsWorker(port: number): Promise<Disposable> {
  const server = new Server();
  const describe = (_: unknown, done: (error: null, answer: object) => void): void => done(null, {});
  server.addService(Hsm.service, { Describe: describe } as never);
  const insecure = ServerCredentials.createInsecure();
  await promisify(server.bindAsync.bind(server))(`127.0.0.1:${port}`, insecure);
  return { [Symbol.dispose]: () => server.forceShutdown() };
}

function keyArn(output: string): string {
  return /arn:aws:kms:us-east-1:000000000000:key\/[0-9a-f-]{36}/.exec(output)?.[0] ?? '';
}

test('the first start says where everything is, and what it says is true', async () => {
  const seeded = '3c30ff32-5c52-4d3a-acf9-4038df6ea8d6';
  const seed = join(directory.path, 'seed.yaml');
  writeFileSync(seed, `keys: [{ id: ${seeded}, material: { hex: ${'ab'.repeat(32)} } }]`);
  await using command = start('--seed', seed);
  const output = await command.up();
  firstKey = keyArn(output);
  expect(output).toContain(`Key ${seeded} of the seed file is made.`);
  expect(output).toContain(`http://127.0.0.1:${httpPort}`);
  expect(output).toMatch(/created just now; sealed under domain key generation 1\b/);
  expect(output.match(/^ {2}aws --endpoint-url .* kms /gm)).toHaveLength(3);

  const credentialsFile = join(home, 'aws', 'credentials');
  expect(statSync(credentialsFile).mode & 0o777).toBe(0o600);
  const [, accessKeyId = '', secretAccessKey = ''] =
    /aws_access_key_id = (\S+)\naws_secret_access_key = (\S+)/.exec(readFileSync(credentialsFile, 'utf8')) ?? [];
  const credentials = { accessKeyId, secretAccessKey };
  const kms = new KMSClient({ endpoint: `http://127.0.0.1:${httpPort}`, region: 'us-east-1', credentials });
  const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: 'alias/first-key' }));
  kms.destroy();
  expect(KeyMetadata?.Arn).toBe(firstKey);

  const names = readdirSync(join(home, 'run')).filter((name) => name.endsWith('.pid'));
  expect(names.toSorted()).toEqual(
    ['domain-manager', 'frontend', 'hsm-worker-1', 'hsm-worker-2', 'nats', 'redis'].map((name) => `${name}.pid`),
  );
  const started = pids();
  expect(started.filter(runs)).toEqual(started);
  await command.interrupt();
  expect(command.output.trimEnd().endsWith('Stopping ...'), command.output).toBe(true);
  expect(started.filter(runs)).toEqual([]);
  expect(readdirSync(join(home, 'run'))).toEqual([]);
});

test('no secret is readable by others', () => {
  const open = readdirSync(home, { recursive: true, encoding: 'utf8' })
    .filter((name) => (statSync(join(home, name)).mode & 0o077) !== 0)
    .filter((name) => !/^(redis|nats)\//.test(name));
  expect(open).toEqual([]);
  expect(statSync(home).mode & 0o777).toBe(0o700);
});

test('the second start finds the same keys, even after kill -9 of the launcher', async () => {
  {
    await using command = start();
    const output = await command.up();
    expect(keyArn(output)).toBe(firstKey);
    expect(output).toContain('found again');
    expect(output).not.toContain('First ceremony');
    await command.kill();
  }
  await using command = start();
  expect(keyArn(await command.up())).toBe(firstKey);
});

test('what dies under npm start is started again', async () => {
  await using command = start();
  await command.up();
  const file = join(home, 'run', 'hsm-worker-1.pid');
  const before = Number(readFileSync(file, 'utf8'));
  process.kill(before, 'SIGKILL');
  await expect.poll(() => command.output).toMatch(/hsm-worker-1 ended \(SIGKILL\)/);
  await expect.poll(() => pids().filter(runs).length, { timeout: 10_000 }).toBe(6);
  expect(Number(readFileSync(file, 'utf8'))).not.toBe(before);
});

test('a home that is in use is not touched', async () => {
  await using command = start();
  await command.up();
  expect(await refusal()).toMatch(/is in use by process \d+\. Stop that one, or choose another --home\.$/);
});

test('one port for both is refused in one line, though nobody has it', async () => {
  const line = `--http-port and --grpc-port are both ${httpPort}, and must differ.`;
  expect(await refusal('--grpc-port', `${httpPort}`)).toBe(`keyfleet: ${line}`);
});

test('the ports that are taken are named with their options, all at once', async () => {
  const fresh = join(directory.path, 'fresh');
  using taken = new DisposableStack();
  taken.use(await listenAsWorker(httpPort));
  const one = `keyfleet: port ${httpPort} is taken by another program. Stop it, or choose another with --http-port N.`;
  expect(await refusal()).toBe(one);
  expect(await refusal('--home', fresh)).toBe(one);
  taken.use(await listenAsWorker(grpcPort));
  const both = `keyfleet: ports ${httpPort} and ${grpcPort} are taken by another program. Stop it, or choose others with --http-port N --grpc-port N.`;
  expect(await refusal()).toBe(both);
  expect(await refusal('--home', fresh)).toBe(both);
  expect(existsSync(fresh)).toBe(false);
});

test.each([
  ['hsm-worker-2', 'Start again: that chooses another.'],
  ['domain-manager', 'Start again: that chooses another.'],
  ['frontend', 'Stop it, or choose another with --grpc-port N.'],
])(
  'a port that another program takes when it is already chosen is named, with %s, which needs it',
  async (name, todo) => {
    const fresh = join(directory.path, 'fresh');
    await using command = start('--home', fresh);
    const configured = (): { grpc: string } | undefined => {
      try {
        return JSON.parse(readFileSync(join(fresh, 'config', `${name}.json`), 'utf8')) as { grpc: string };
      } catch {
        return undefined;
      }
    };
    await expect.poll(configured, { interval: 5, timeout: 30_000 }).toBeDefined();
    const port = Number(configured()!.grpc.split(':')[1]);
    using _other = await listenAsWorker(port);
    expect(await command.ended(), command.output).not.toBe(0);
    const line = `keyfleet: ${name} did not start: port ${port} is taken by another program. ${todo} (${join(fresh, 'log', name)}.log)`;
    expect(command.output.split('\n').filter((text) => text.startsWith('keyfleet: '))).toEqual([line]);
  },
);

test.each([
  ['--regions', 'us-east-1,moon-1', "--regions: 'moon-1' is no Region of AWS."],
  ['--workers', '0', '--workers must be a number from 1 to 64.'],
  ['--workers', '3', 'was made with 2 workers'],
  ['--account', '12', '--account must be 12 digits.'],
  ['--account', '111122223333', 'belongs to account 000000000000'],
  ['--http-prot', '1', "Unknown option '--http-prot'"],
])('%s %s is refused in one line', async (option, value, message) => {
  expect(await refusal(option, value)).toContain(message);
});

test('a directory that is something else is not taken for a home', async () => {
  const other = join(directory.path, 'photos');
  mkdirSync(other);
  writeFileSync(join(other, 'cat.jpg'), '');
  expect(await refusal('--home', other)).toContain('is not empty and not a Keyfleet home');
  expect(readdirSync(other)).toEqual(['cat.jpg']);
});

test('a secret that others can read is refused, with the command that corrects it', async () => {
  const file = join(home, 'secrets', 'redis-password');
  chmodSync(file, 0o644);
  expect(await refusal()).toContain(`Run 'chmod 600 ${file}'`);
  chmodSync(file, 0o600);
});

test('a home that lost a piece is refused by the name of the piece, and nothing is made in its place', async () => {
  const file = join(home, 'keys', 'frontend-1.pem');
  renameSync(file, join(directory.path, 'away'));
  expect(await refusal()).toContain(`${file} is missing. Restore it from a backup`);
  renameSync(join(directory.path, 'away'), file);
});

test('a damaged identity of an hsm-worker stops the start in one line', async () => {
  const file = join(home, 'hsm-worker-1', 'identity');
  const good = readFileSync(file);
  const bad = Buffer.from(good);
  bad.writeUInt8(bad.readUInt8(40) ^ 1, 40);
  writeFileSync(file, bad);
  expect(await refusal()).toMatch(/hsm-worker-1 did not start: .*identity.* is not usable/);
  writeFileSync(file, good);
});

test('a damaged record of Redis stops the start in one line', async () => {
  const folder = join(home, 'redis', 'appendonlydir');
  const name = readdirSync(folder).find((file) => file.endsWith('.incr.aof')) ?? '';
  const good = readFileSync(join(folder, name));
  writeFileSync(join(folder, name), Buffer.concat([Buffer.from('*9\r\n$3\r\nGARBAGE'), good]));
  expect(await refusal()).toMatch(/redis did not start: .*AOF/i);
  writeFileSync(join(folder, name), good);
});

test('after all of that the home still starts', async () => {
  await using command = start();
  expect(keyArn(await command.up())).toBe(firstKey);
});
