import { writeFileSync } from 'node:fs';
import { type Home, identities } from './home.ts';
import type { Ports } from './ports.ts';
import { allRegions } from './regions.ts';
import { natsConfig } from './servers/nats.ts';
import { redisConfig } from './servers/redis.ts';

function local(port: number): string {
  return `127.0.0.1:${port}`;
}

/** What a start may want otherwise. */
export interface DomainSettings {
  /** Served; all of AWS's unless told otherwise. */
  readonly regions?: readonly string[] | undefined;
  /** Duration, such as "3s". */
  readonly rotateEvery?: string | undefined;
  /** Duration: how often due deletions and rotations of keys are carried out. */
  readonly dueWorkEvery?: string | undefined;
}

/** Writes the configuration of every process of the cluster: `<home>/config/<name>.{json,conf}`. */
export function writeConfigs(home: Home, ports: Ports, settings: DomainSettings = {}): void {
  const { regions = allRegions, rotateEvery, dueWorkEvery } = settings;
  const redis = { url: `redis://${local(ports.redis)}`, passwordFile: home.secretFile('redis-password') };
  const nats = { servers: [local(ports.nats)], tokenFile: home.secretFile('nats-token') };
  const shared = { nats, trustAnchorFile: home.trustAnchorFile, log: { level: 'info' } };
  const hsmWorkers = ports.workers.map(local);
  const domainManagers = [ports.domainManager, ...ports.otherDomainManagers].map(local);

  const configs: Record<string, object> = {
    frontend: {
      ...shared,
      regions,
      partition: 'aws',
      http: local(ports.http),
      grpc: local(ports.grpc),
      grpcReflection: true,
      developmentTags: true,
      hsmWorkers,
      domainManagers,
      redis: { ...redis, durability: 'strict' },
      dataDir: home.in('frontend'),
      hostKey: { operatorId: identities.frontend, file: home.keyFile(identities.frontend) },
      firstAdministrator: {
        accountId: home.facts.accountId,
        userName: 'admin',
        credentialsFile: home.in('aws', 'credentials'),
      },
      auditFile: home.in('log', 'audit.log'),
    },
  };
  domainManagers.forEach((grpc, index) => {
    configs[domainManagerName(index)] = {
      ...shared,
      grpc,
      redis,
      hsmWorkers,
      schedulerKey: { operatorId: identities.domainManager, file: home.keyFile(identities.domainManager) },
      ...(rotateEvery === undefined ? {} : { rotation: { every: rotateEvery } }),
      ...(dueWorkEvery === undefined ? {} : { dueWork: { every: dueWorkEvery } }),
    };
  });
  home.workerNames.forEach((name, index) => {
    configs[name] = {
      ...shared,
      memberId: name,
      grpc: hsmWorkers[index],
      dataDir: home.in(name),
      sealKeyFile: home.secretFile(`${name}-seal-key`),
      domainManagers,
    };
  });
  for (const [name, config] of Object.entries(configs)) {
    writePrivate(home.in('config', `${name}.json`), `${JSON.stringify(config, null, 2)}\n`);
  }
  writePrivate(home.in('config', 'redis.conf'), redisConfig(redisSettings(home, ports)));
  writePrivate(home.in('config', 'nats.conf'), natsConfig(natsSettings(home, ports)));
  writePrivate(home.in('aws', 'config'), awsConfig(regions[0]!, `http://${local(ports.http)}`));
}

/** What Keyfleet serves comes to Keyfleet, and nothing else: `aws s3 ls` would get an answer that means nothing. */
function awsConfig(region: string, endpoint: string): string {
  const services = ['iam', 'kms', 'sts'].map((service) => `${service} =\n  endpoint_url = ${endpoint}\n`).join('');
  return `[default]\nregion = ${region}\nservices = keyfleet\n\n[services keyfleet]\n${services}`;
}

/** domain-manager, domain-manager-2, ... */
export function domainManagerName(index: number): string {
  return index === 0 ? 'domain-manager' : `domain-manager-${index + 1}`;
}

export function redisSettings(home: Home, ports: Ports) {
  return { port: ports.redis, directory: home.in('redis'), password: home.secret('redis-password') };
}

export function natsSettings(home: Home, ports: Ports) {
  return { port: ports.nats, directory: home.in('nats'), token: home.secret('nats-token') };
}

function writePrivate(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600 });
}
