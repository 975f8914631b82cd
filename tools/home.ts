import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type NatsUser, natsUsers } from './servers/nats-users.ts';
import { type RedisUser, redisUsers } from './servers/redis-users.ts';
import { StartError } from './start-error.ts';

/** The owners of the development domain's keys: `<home>/keys/<name>.pem`. */
export const identities = {
  operator: 'operator-1',
  frontend: 'frontend-1',
  domainManager: 'domain-manager-1',
} as const;

const Marker = z.strictObject({
  version: z.literal(1),
  domain: z.string(),
  accountId: z.string(),
  workers: z.int().min(1),
  /** True once the first ceremony is done: after that, nothing missing may be made again. */
  founded: z.boolean(),
  /** Whether everything speaks TLS, with certificates of the home's own authority. */
  tls: z.boolean().default(false),
  /** False in a home of a release without MACs, until its records have them. */
  recordsHaveMacs: z.boolean().default(false),
});
export type HomeFacts = z.output<typeof Marker>;

const MARKER = 'home.json';
const directories = ['redis', 'nats', 'secrets', 'keys', 'domain-manager', 'frontend', 'config', 'run', 'log', 'aws'];

/** The files of a cluster. Secrets are mode 0600 in directories of mode 0700. */
export class Home {
  readonly path: string;
  facts: HomeFacts;

  constructor(path: string, facts: HomeFacts) {
    this.path = path;
    this.facts = facts;
  }

  get workerNames(): readonly string[] {
    return Array.from({ length: this.facts.workers }, (_, index) => `hsm-worker-${index + 1}`);
  }

  in(...parts: readonly string[]): string {
    return join(this.path, ...parts);
  }

  secretFile(name: string): string {
    return this.in('secrets', name);
  }

  secret(name: string): string {
    return readFileSync(this.secretFile(name), 'utf8').trim();
  }

  redisPasswordFile(user: RedisUser): string {
    return this.secretFile(`redis-password-${user}`);
  }

  natsPasswordFile(user: NatsUser): string {
    return this.secretFile(`nats-password-${user}`);
  }

  keyFile(identity: string): string {
    return this.in('keys', `${identity}.pem`);
  }

  get trustAnchorFile(): string {
    return this.in('config', 'trust-anchor.json');
  }

  /** After the first ceremony: from now on a missing piece is damage, not a beginning. */
  markFounded(): void {
    this.#mark({ founded: true });
  }

  /** From now on, for good. */
  markTls(): void {
    this.#mark({ tls: true });
  }

  markRecordsHaveMacs(): void {
    this.#mark({ recordsHaveMacs: true });
  }

  #mark(facts: Partial<HomeFacts>): void {
    this.facts = { ...this.facts, ...facts };
    writeMarker(this.path, this.facts);
  }
}

export interface HomeWish {
  readonly path: string;
  /** Undefined: as the home has it, or the default of a new one. */
  readonly workers: number | undefined;
  readonly accountId: string | undefined;
}

/** Opens a home or lays out a new one. Throws StartError for one that is damaged, or is something else. */
export function openHome(wish: HomeWish): Home {
  const facts = readMarker(wish.path) ?? layOut(wish);
  assertSame(wish, facts);
  const home = new Home(wish.path, facts);
  for (const name of [...directories, ...home.workerNames]) {
    if (facts.founded) assertPrivateDirectory(home.in(name));
    else mkdirSync(home.in(name), { recursive: true, mode: 0o700 });
  }
  const secrets = ['redis-password', ...home.workerNames.map((name) => `${name}-seal-key`)];
  for (const name of secrets) provideFile(home, home.secretFile(name), () => randomBytes(32).toString('base64') + '\n');
  for (const user of redisUsers) providePassword(home.redisPasswordFile(user));
  for (const user of natsUsers) providePassword(home.natsPasswordFile(user));
  for (const name of Object.values(identities)) provideFile(home, home.keyFile(name), newSigningKey);
  provideFile(home, home.trustAnchorFile, () => trustAnchor(home));
  for (const name of facts.founded ? home.workerNames : []) assertNotEmpty(home.in(name));
  return home;
}

/** Whether a cluster was ever made there. */
export function isHome(path: string): boolean {
  return existsSync(join(path, MARKER));
}

/** The remains of a home that was never founded: its lock, and the logs of a failed start. */
const lasting = ['run', 'log'];

/** Throws StartError for a directory that is something else. */
export function assertHomeOrEmpty(path: string): void {
  if (!existsSync(path) || isHome(path) || readdirSync(path).every((name) => lasting.includes(name))) return;
  throw new StartError(`${path} is not empty and not a Keyfleet home. Choose another directory with --home DIR.`);
}

/** Undoes a start that founded nothing: half a home would stand in the way of the next start. */
export function removeUnfounded(path: string): void {
  if (mayBeFounded(path)) return;
  const ours = new Set([...directories, 'tls', MARKER, `${MARKER}.new`]);
  for (const name of readdirSync(path)) {
    const isOurs = ours.has(name) || /^hsm-worker-\d+$/.test(name);
    if (isOurs && !lasting.includes(name)) rmSync(join(path, name), { recursive: true, force: true });
  }
}

/** A damaged marker may be that of a founded home. */
function mayBeFounded(path: string): boolean {
  if (!isHome(path)) return false;
  try {
    return Marker.parse(JSON.parse(readFileSync(join(path, MARKER), 'utf8'))).founded;
  } catch {
    return true;
  }
}

function layOut(wish: HomeWish): HomeFacts {
  assertHomeOrEmpty(wish.path);
  mkdirSync(wish.path, { recursive: true, mode: 0o700 });
  const facts: HomeFacts = {
    version: 1,
    domain: 'development',
    accountId: wish.accountId ?? '000000000000',
    workers: wish.workers ?? 2,
    founded: false,
    tls: false,
    recordsHaveMacs: true,
  };
  writeMarker(wish.path, facts);
  return facts;
}

function assertSame(wish: HomeWish, facts: HomeFacts): void {
  if (wish.workers !== undefined && wish.workers !== facts.workers) {
    throw new StartError(
      `${wish.path} was made with ${facts.workers} workers: leave out --workers, or choose another --home. ` +
        'A member is added to a domain by its operators (docs/ceremony.md).',
    );
  }
  if (wish.accountId !== undefined && wish.accountId !== facts.accountId) {
    throw new StartError(
      `${wish.path} belongs to account ${facts.accountId}: leave out --account, or choose another --home.`,
    );
  }
}

function readMarker(path: string): HomeFacts | undefined {
  const file = join(path, MARKER);
  if (!existsSync(file)) return undefined;
  assertPrivateDirectory(path);
  try {
    return Marker.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new StartError(`${file} is damaged. ${repair}`, { cause: error });
  }
}

function writeMarker(path: string, facts: HomeFacts): void {
  const file = join(path, MARKER);
  writeFileSync(`${file}.new`, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

const repair = 'Restore it from a backup, or start a new cluster with --home DIR.';

function assertPrivateDirectory(path: string): void {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) throw new StartError(`${path} is missing. ${repair}`);
  if ((mode & 0o077) !== 0) {
    throw new StartError(`${path} is open to other users. Run 'chmod 700 ${path}', then start again.`);
  }
}

/** Makes the file of a home that has no domain yet; afterwards it must be there, whole and private. */
function provideFile(home: Home, path: string, content: () => string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined && home.facts.founded) throw new StartError(`${path} is missing. ${repair}`);
  if (stat === undefined) return writeFileSync(path, content(), { mode: 0o600, flag: 'wx' });
  if (stat.size === 0) throw new StartError(`${path} is empty. ${repair}`);
  if ((stat.mode & 0o077) !== 0) {
    throw new StartError(`${path} is open to other users. Run 'chmod 600 ${path}', then start again.`);
  }
}

/** Made if missing: Redis and NATS learn it at each start. */
function providePassword(path: string): void {
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
}

function assertNotEmpty(directory: string): void {
  if (readdirSync(directory).length === 0) throw new StartError(`${directory} has lost its content. ${repair}`);
}

function newSigningKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function trustAnchor(home: Home): string {
  const signingKey = createPublicKey(readFileSync(home.keyFile(identities.operator)))
    .export({ type: 'spki', format: 'der' })
    .toString('base64');
  const operators = [{ operatorId: identities.operator, signingKey }];
  return `${JSON.stringify({ domain: home.facts.domain, minimum: 1, operators }, null, 2)}\n`;
}
