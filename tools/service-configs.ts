import type { CertificateConfig, TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Home, identities } from './home.ts';
import { caFileOf, tlsFilesOf } from './home-tls.ts';
import type { Ports } from './ports.ts';
import { allRegions } from './regions.ts';
import { natsConfig, type NatsSettings } from './servers/nats.ts';
import type { NatsUser } from './servers/nats-users.ts';
import { redisConfig } from './servers/redis.ts';
import { type RedisUser, userLines } from './servers/redis-users.ts';

function local(port: number): string {
  return `127.0.0.1:${port}`;
}

/** Settings that a start may change. */
export interface DomainSettings {
  /** Served; all of AWS's unless told otherwise. */
  readonly regions?: readonly string[] | undefined;
  /** Duration, such as "3s". */
  readonly rotateEvery?: string | undefined;
  /** Duration: how often due deletions and rotations of keys are carried out. */
  readonly dueWorkEvery?: string | undefined;
  /** Of each worker, as its configuration has it; the worker's default unless told otherwise. */
  readonly rsaKeyPool?: object | undefined;
  /** Duration: how long the frontend gives a request; its default unless told otherwise. */
  readonly requestTimeout?: string | undefined;
}

/** Writes the configuration of every process of the cluster: `<home>/config/<name>.{json,conf}`. */
export function writeConfigs(home: Home, ports: Ports, settings: DomainSettings = {}): void {
  const { regions = allRegions, rotateEvery, dueWorkEvery, rsaKeyPool, requestTimeout } = settings;
  const shared = (name: string, username: NatsUser) => {
    const tls = tlsOf(home, name);
    const nats = { servers: [local(ports.nats)], username, passwordFile: home.natsPasswordFile(username), tls };
    return { nats, trustAnchorFile: home.trustAnchorFile, peerTls: tls, log: { level: 'info' } };
  };
  const managerPorts = [ports.domainManager, ...ports.otherDomainManagers];
  const peer = (port: number): string => peerAddress(home, port);
  const [hsmWorkers, domainManagers] = [ports.workers.map(peer), managerPorts.map(peer)];

  const configs: Record<string, object> = {
    frontend: {
      ...shared('frontend', 'frontend'),
      ...(home.facts.tls && { edgeTls: [certificateOf(home, 'edge')] }),
      regions,
      partition: 'aws',
      http: local(ports.http),
      grpc: local(ports.grpc),
      grpcReflection: true,
      developmentTags: true,
      hsmWorkers,
      domainManagers,
      redis: { ...redisConfigOf(home, ports, 'frontend'), ...userOf(home, 'frontend') },
      dataDir: home.in('frontend'),
      hostKey: { operatorId: identities.frontend, file: home.keyFile(identities.frontend) },
      firstAdministrator: {
        accountId: home.facts.accountId,
        userName: 'admin',
        credentialsFile: home.in('aws', 'credentials'),
      },
      auditFile: home.in('log', 'audit.log'),
      ...(requestTimeout === undefined ? {} : { requestTimeout }),
    },
  };
  managerPorts.forEach((port, index) => {
    const name = domainManagerName(index);
    configs[name] = {
      ...shared(name, 'domain-manager'),
      grpc: local(port),
      redis: { ...redisConfigOf(home, ports, name), ...userOf(home, 'domain-manager') },
      hsmWorkers,
      schedulerKey: { operatorId: identities.domainManager, file: home.keyFile(identities.domainManager) },
      ...(rotateEvery === undefined ? {} : { rotation: { every: rotateEvery } }),
      ...(dueWorkEvery === undefined ? {} : { dueWork: { every: dueWorkEvery } }),
    };
  });
  home.workerNames.forEach((name, index) => {
    configs[name] = {
      ...shared(name, 'hsm-worker'),
      memberId: name,
      grpc: local(ports.workers[index]!),
      dataDir: home.in(name),
      sealKeyFile: home.secretFile(`${name}-seal-key`),
      domainManagers,
      ...(rotateEvery === undefined ? {} : { rotationPause: rotateEvery }),
      ...(rsaKeyPool === undefined ? {} : { rsaKeyPool }),
    };
  });
  for (const [name, config] of Object.entries(configs)) {
    writePrivate(home.in('config', `${name}.json`), `${JSON.stringify(config, null, 2)}\n`);
  }
  writePrivate(home.in('config', 'redis.conf'), redisConfig(redisSettings(home, ports)));
  writePrivate(home.in('config', 'nats.conf'), natsConfig(natsSettings(home, ports)));
  writePrivate(home.in('aws', 'config'), awsConfig(home, regions[0]!, endpointOf(home, ports)));
}

/** Sends only Keyfleet's services to Keyfleet: its answer to `aws s3 ls` would mean nothing. */
function awsConfig(home: Home, region: string, endpoint: string): string {
  const bundle = home.facts.tls ? `ca_bundle = ${caFileOf(home)}\n` : '';
  const services = ['iam', 'kms', 'sts'].map((service) => `${service} =\n  endpoint_url = ${endpoint}\n`).join('');
  return `[default]\nregion = ${region}\n${bundle}services = keyfleet\n\n[services keyfleet]\n${services}`;
}

/** domain-manager, domain-manager-2, ... */
export function domainManagerName(index: number): string {
  return index === 0 ? 'domain-manager' : `domain-manager-${index + 1}`;
}

/** As services and the operator call each other: a certificate is for a name. */
export function peerAddress(home: Home, port: number): string {
  return home.facts.tls ? `localhost:${port}` : local(port);
}

export function endpointOf(home: Home, ports: Ports): string {
  return `${home.facts.tls ? 'https' : 'http'}://${local(ports.http)}`;
}

/** The holders of certificates. */
export function holdersOf(home: Home, ports: Ports): readonly string[] {
  const domainManagers = [ports.domainManager, ...ports.otherDomainManagers].map((_, index) =>
    domainManagerName(index),
  );
  return ['edge', 'frontend', ...domainManagers, ...home.workerNames, 'redis', 'nats', 'operator'];
}

/** The `redis` part of a configuration, for the holder of a certificate. */
export function redisConfigOf(home: Home, ports: Ports, holder: string) {
  const url = `${home.facts.tls ? 'rediss' : 'redis'}://${local(ports.redis)}`;
  return { url, passwordFile: home.secretFile('redis-password'), tls: tlsOf(home, holder) };
}

function userOf(home: Home, username: RedisUser) {
  return { username, passwordFile: home.redisPasswordFile(username) };
}

export function redisSettings(home: Home, ports: Ports) {
  const tls = tlsOf(home, 'redis');
  const users = userLines((user) => readFileSync(home.redisPasswordFile(user), 'utf8').trim());
  return { port: ports.redis, directory: home.in('redis'), password: home.secret('redis-password'), tls, users };
}

export function natsSettings(home: Home, ports: Ports): NatsSettings {
  const passwordOf = (user: NatsUser) => readFileSync(home.natsPasswordFile(user), 'utf8').trim();
  return { port: ports.nats, directory: home.in('nats'), passwordOf, tls: tlsOf(home, 'nats') };
}

function tlsOf(home: Home, holder: string): TlsConfig | undefined {
  return home.facts.tls ? tlsFilesOf(home, holder) : undefined;
}

function certificateOf(home: Home, holder: string): CertificateConfig {
  const { certificateFile, keyFile } = tlsFilesOf(home, holder);
  return { certificateFile, keyFile };
}

function writePrivate(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600 });
}
