import pino from 'pino';
import { z } from 'zod';

/** Write `log.info({ field }, 'what happened')`: the text is constant, and variable parts go into fields. */
export type Log = pino.Logger;

/** The `log` part of every service's configuration. */
export const LogConfig = z
  .strictObject({
    level: z
      .enum(['debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('The lowest level that is logged.'),
  })
  .prefault({});

export interface LogOptions {
  readonly name: string;
  readonly level: string;
}

/** How much may wait while a disk is full; further lines are lost. */
const MAX_UNWRITTEN_CHARACTERS = 1_048_576;

/**
 * Synchronous, so that the last line before a crash gets out, and lines stay in order. A line that cannot be written,
 * as on a full disk, waits for the next one and stops nothing.
 */
export function logDestination(dest: number | string): pino.DestinationStream {
  return pino.destination({ dest, sync: true, maxLength: MAX_UNWRITTEN_CHARACTERS }).on('error', () => undefined);
}

/** JSON lines on stderr. */
export function createLog(options: LogOptions, destination: pino.DestinationStream = logDestination(2)): Log {
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redactFields(fields, 0),
      },
      serializers: { err: (value: unknown) => value },
    },
    destination,
  );
}

const secretName =
  /^(authorization|cookie|credentials|x-amz-security-token|privatekey|signingkey|plaintext|.*(password|passphrase|secret|secretaccesskey|sessiontoken))$/i;
const MAX_DEPTH = 5;

/** Only a second line of defence: code does not log secrets in the first place. */
function redact(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return redactFields(value as Record<string, unknown>, depth);
}

function redactFields(fields: Record<string, unknown>, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      secretName.test(name) && value !== undefined ? '[redacted]' : redact(value, depth + 1),
    ]),
  );
}

/** Only the standard members: libraries attach whole commands with their arguments to their errors. */
function describeError(error: Error, depth: number): Record<string, unknown> {
  const { code } = error as NodeJS.ErrnoException;
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
