import { runService, type ServiceContext } from '@keyfleet/shared/service';
import { PluginConfig } from './config.ts';
import { startPlugin } from './plugin.ts';

await runService({ name: 'kms-plugin', config: PluginConfig, run });

/** Keyfleet need not be running at the start: the plugin's Status says what is missing. */
async function run(config: PluginConfig, { log, stopped }: ServiceContext): Promise<void> {
  await using _plugin = await startPlugin(config, log);
  log.info({ socket: config.socket }, 'ready');
  await stopped;
}
