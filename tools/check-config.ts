// Every shipped configuration must be valid for its service: deploy/config/<service>.json.
import { DomainManagerConfig } from '@keyfleet/domain-manager/config';
import { FrontendConfig } from '@keyfleet/frontend/config';
import { WorkerConfig } from '@keyfleet/hsm-worker/config';
import { ConfigError, loadConfig } from '@keyfleet/shared/config';
import { join } from 'node:path';

const shipped = { frontend: FrontendConfig, 'hsm-worker': WorkerConfig, 'domain-manager': DomainManagerConfig };

for (const [service, schema] of Object.entries(shipped)) {
  try {
    loadConfig(schema, join(import.meta.dirname, '../deploy/config', `${service}.json`));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
