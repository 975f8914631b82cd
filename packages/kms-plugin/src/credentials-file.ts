import { statSync } from 'node:fs';
import type { Credentials } from '@keyfleet/client';
import { ConfigError, readSecretFile } from '@keyfleet/shared/config';

/** The credentials of `[default]` in an AWS credentials file, which is reread when it changes. */
export class CredentialsFile {
  readonly #path: string;
  readonly #onProblem: (problem: unknown) => void;
  #version: string;
  #credentials: Credentials;

  /** Throws ConfigError. `onProblem`: a changed file cannot be used, and the previous content remains in use. */
  constructor(path: string, onProblem: (problem: unknown) => void) {
    this.#path = path;
    this.#onProblem = onProblem;
    this.#credentials = read(path);
    this.#version = versionOf(path);
  }

  current(): Credentials {
    try {
      const version = versionOf(this.#path);
      if (version !== this.#version) {
        this.#credentials = read(this.#path);
        this.#version = version;
      }
    } catch (problem) {
      this.#onProblem(problem);
    }
    return this.#credentials;
  }
}

/** The version of the file that the path leads to: Kubernetes changes a mounted Secret by redirecting its links. */
function versionOf(path: string): string {
  const { dev, ino, mtimeNs, size } = statSync(path, { bigint: true });
  return `${dev} ${ino} ${mtimeNs} ${size}`;
}

function read(path: string): Credentials {
  const text = readSecretFile(path, 'credentialsFile');
  const section = /^\[default\][ \t]*$([^[]*)/m.exec(text)?.[1] ?? '';
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}[ \\t]*=[ \\t]*(\\S+)`, 'm').exec(section)?.[1];
  const accessKeyId = field('aws_access_key_id');
  const secretAccessKey = field('aws_secret_access_key');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    const missing = 'has no aws_access_key_id and aws_secret_access_key under [default]';
    throw new ConfigError(`credentialsFile: ${path} ${missing}. Write them as the AWS CLI reads them.`);
  }
  return { accessKeyId, secretAccessKey, sessionToken: field('aws_session_token') };
}
