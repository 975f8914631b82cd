import { KMS } from '@aws-sdk/client-kms';
import { mountSmallDisk, type SmallDisk } from '@keyfleet/test-support/small-disk';
import { StartCommand } from '@keyfleet/test-support/start-command';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newPort } from '../../tools/ports.ts';

// `npm start` whose home is on a file system of its own, which is full. The tests share it, in this order.
let disk: SmallDisk;
let home: string;
let httpPort: number;
let options: string[];
const resources = new AsyncDisposableStack();

beforeAll(async () => {
  const directory = resources.use(await mkdtempDisposable(join(tmpdir(), 'keyfleet-disk-')));
  disk = resources.use(await mountSmallDisk(directory.path, 32));
  home = join(directory.path, 'home');
  httpPort = await newPort();
  options = ['--home', home, '--http-port', `${httpPort}`, '--grpc-port', `${await newPort()}`];
});
afterAll(() => resources.disposeAsync());

const start = () => new StartCommand(options, {}, disk.inside);
const inHome = (...parts: string[]) => disk.seenAs(join(home, ...parts));
const linesOf = ({ output }: StartCommand, form: RegExp) => output.split('\n').filter((line) => form.test(line));

/** The processes that run, by their pid files. */
function running(): Record<string, string> {
  const files = readdirSync(inHome('run')).filter((name) => name.endsWith('.pid'));
  return Object.fromEntries(files.map((name) => [name.slice(0, -4), readFileSync(inHome('run', name), 'utf8').trim()]));
}

function newKms(): KMS & Disposable {
  const [, accessKeyId = '', secretAccessKey = ''] =
    /aws_access_key_id = (\S+)\naws_secret_access_key = (\S+)/.exec(
      readFileSync(inHome('aws', 'credentials'), 'utf8'),
    ) ?? [];
  const credentials = { accessKeyId, secretAccessKey };
  const kms = new KMS({ endpoint: `http://127.0.0.1:${httpPort}`, region: 'us-east-1', credentials, maxAttempts: 1 });
  return Object.assign(kms, { [Symbol.dispose]: () => kms.destroy() });
}

test.each([
  ['its first files', 40_960],
  ['what its processes write', 180_224],
])('a first start without room for %s says so in one line, and leaves no home', async (_what, room) => {
  using _ballast = disk.fill(room);
  await using command = start();
  expect(await command.ended()).toBe(1);
  expect(linesOf(command, /^keyfleet: /), command.output).toEqual([expect.stringMatching(/no space left|is full/)]);
  expect(command.output).not.toMatch(/^ {4}at /m);
  expect(readdirSync(inHome()).filter((name) => name !== 'log' && name !== 'run')).toEqual([]);
});

test('what runs survives a full disk: Redis comes back when there is room, and its end is said in one line', async () => {
  await using command = start();
  await command.up();
  using kms = newKms();
  const { CiphertextBlob } = await kms.encrypt({ KeyId: 'alias/first-key', Plaintext: Buffer.from('before') });
  // Until it has written down which record key it follows, a frontend that cannot do so believes no record.
  const isFollowing = async () => {
    await kms.createKey({});
    return readdirSync(inHome('frontend')).includes('record-key-floor.json');
  };
  await expect.poll(isFollowing, { interval: 500, timeout: 20_000 }).toBe(true);
  const { redis, ...others } = running();
  using ballast = disk.fill();
  // What a process frees meanwhile, such as a file that it wrote anew, is filled with keys.
  const takesAnother = () =>
    kms.createKey({ Description: 'x'.repeat(8192) }).then(
      () => true,
      () => false,
    );
  await expect.poll(takesAnother, { interval: 10, timeout: 20_000 }).toBe(false);
  await expect.poll(() => linesOf(command, /^redis ended .*; the disk is full\)/), { timeout: 20_000 }).toHaveLength(1);
  // Redis is started again and ends at its next write, again and again: what needs it meanwhile may fail.
  const decrypted = async () => Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!).toString();
  await expect.poll(decrypted, { timeout: 20_000 }).toBe('before');
  ballast[Symbol.dispose]();
  await expect.poll(() => kms.createKey({}).catch(String), { timeout: 30_000 }).toHaveProperty('KeyMetadata');
  const { redis: redisNow, ...othersNow } = running();
  expect(othersNow).toEqual(others);
  expect(redisNow).not.toBe(redis);
  expect(linesOf(command, / ended /)).toHaveLength(1);
  expect(command.output).not.toMatch(/^ {4}at /m);
});
