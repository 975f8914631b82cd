import { readFileSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';

/** What is wrong with a configuration: one line with the file, the field and what to do. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const durationPattern = /^(\d{1,9})(ms|s|m|h|d)$/;

/**
 * A duration such as "250ms", "15s", "5m", "24h" or "7d", parsed to milliseconds. `fallback` applies if the field is
 * absent.
 */
export function duration(fallback: string) {
  return z
    .string()
    .regex(durationPattern, 'must be a duration such as "15s", "5m" or "24h"')
    .transform((text) => {
      const [, amount = '', unit = 'ms'] = durationPattern.exec(text) ?? [];
      return Number(amount) * units[unit as keyof typeof units];
    })
    .prefault(fallback);
}

const sizeUnits = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;
const sizePattern = /^(\d{1,6})(KiB|MiB|GiB)$/;

/**
 * An amount of memory such as "512KiB", "64MiB" or "2GiB", parsed to bytes. `fallback` applies if the field is absent.
 */
export function byteSize(fallback: string) {
  return z
    .string()
    .regex(sizePattern, 'must be an amount of memory such as "64MiB" or "2GiB"')
    .transform((text) => {
      const [, amount = '', unit = 'KiB'] = sizePattern.exec(text) ?? [];
      return Number(amount) * sizeUnits[unit as keyof typeof sizeUnits];
    })
    .prefault(fallback);
}

/** A field of an earlier release, refused with advice on what to do. */
export function gone(advice: string) {
  return z.undefined(`is a field of an earlier release: ${advice}`).optional();
}

export interface Address {
  /** An IPv6 address has no brackets here. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, in gRPC's form. */
  readonly text: string;
}

const addressPattern = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/;

/** "host:port" or "[::1]:port", parsed to an Address. */
export function hostPort() {
  return z.string().transform((text, context): Address => {
    const [, ipv6, name, digits] = addressPattern.exec(text) ?? [];
    const host = ipv6 ?? name;
    const port = Number(digits);
    if (host !== undefined && port <= 65_535) return { host, port, text };
    context.addIssue('must be "host:port", for example "127.0.0.1:8900"');
    return z.NEVER;
  });
}

/**
 * A file path. This is the only way to configure a secret: never in the configuration itself, never in the environment.
 */
export function filePath() {
  return z.string().min(1, 'must be the path of a file');
}

/** Reads a file that is not secret. Throws ConfigError; `field` is the configuration field that names it. */
export function readPublicFile(path: string, field: string): string {
  return readFile(path, `${field}: the file`);
}

/** Like `readSecretBytes`, for a secret that has to be text: it stays in memory until that is used anew. */
export function readSecretFile(path: string, field: string): string {
  const secret = readSecretBytes(path, field);
  try {
    return secret.toString('utf8');
  } finally {
    secret.fill(0);
  }
}

/**
 * Reads a secret's file without its final newline; the caller wipes the result. Throws ConfigError, also if other users
 * may read the file; `field` is the configuration field that names it.
 */
export function readSecretBytes(path: string, field: string): Buffer {
  const content = readBytes(path, `${field}: the secret's file`);
  if (isOpenToOthers(path)) {
    throw new ConfigError(`${field}: the secret's file ${path} is open to other users. Run: chmod 600 ${path}`);
  }
  const secret = content.subarray(0, content.length - finalNewline(content));
  if (secret.length === 0) {
    throw new ConfigError(`${field}: the secret's file ${path} is empty. Write the secret into it.`);
  }
  return secret;
}

/** The length of what ends the last line. */
function finalNewline(content: Buffer): number {
  if (content.at(-1) !== 0x0a) return 0;
  return content.at(-2) === 0x0d ? 2 : 1;
}

/**
 * Whether the file's mode is wider than 0600. A mount owned by another user (a Kubernetes secret with fsGroup) cannot
 * do better than 0440: there the group may read.
 */
function isOpenToOthers(path: string): boolean {
  const { mode, uid } = statSync(path);
  const allowed = uid === process.geteuid?.() ? 0o600 : 0o640;
  return (mode & 0o077 & ~allowed) !== 0;
}

/** Reads and checks a JSON configuration file. The result is frozen. Throws ConfigError. */
export function loadConfig<Schema extends z.ZodType>(schema: Schema, path: string): z.output<Schema> {
  const text = readFile(path, 'the configuration file');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${path} is not JSON (${messageOf(error)}). Correct the file.`, { cause: error });
  }
  const result = schema.safeParse(json);
  if (!result.success) throw new ConfigError(`${path}: ${result.error.issues.map(describeIssue).join('; ')}.`);
  return deepFreeze(result.data);
}

/** The value of `--config`, which is every service's only option. Throws ConfigError. */
export function configPath(args: readonly string[]): string {
  const usage = 'Start it with --config PATH, where PATH is the JSON configuration file.';
  try {
    const { values } = parseArgs({ args: [...args], options: { config: { type: 'string' } } });
    if (values.config) return values.config;
  } catch (error) {
    throw new ConfigError(`${messageOf(error)}. ${usage}`, { cause: error });
  }
  throw new ConfigError(usage);
}

function readFile(path: string, what: string): string {
  return readBytes(path, what).toString('utf8');
}

function readBytes(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === 'ENOENT'
        ? 'does not exist. Create it, or correct the path'
        : code === 'EACCES'
          ? 'may not be read by this user. Correct its owner or mode'
          : `cannot be read (${code ?? messageOf(error)})`;
    throw new ConfigError(`${what} ${path} ${reason}.`, { cause: error });
  }
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path.length === 0 ? 'the file' : issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => [...issue.path, key].join('.')).join(', ');
    return `${names}: not a known field; remove it, or correct its spelling`;
  }
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.endsWith('received undefined')) {
    return `${field}: is missing and must be a ${issue.expected}`;
  }
  return `${field}: ${issue.message}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
