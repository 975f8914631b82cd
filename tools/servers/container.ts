// node container.ts IMAGE HOME PROGRAM ARGS...: runs a server's program in a container as if it were this process. HOME
// is mounted at its own path and the network is the host's, so that the program's configuration is the same. Killed
// with -9, Ryuk (testcontainers' reaper) removes the container.
import { once } from 'node:events';
import { GenericContainer } from 'testcontainers';

const [image = '', home = '', ...command] = process.argv.slice(2);
const container = await new GenericContainer(image)
  .withNetworkMode('host')
  .withBindMounts([{ source: home, target: home, mode: 'rw' }])
  .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`)
  .withEntrypoint(command.slice(0, 1))
  .withCommand(command.slice(1))
  .withLogConsumer((log) => log.pipe(process.stdout))
  .start();
await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
await container.stop({ timeout: 10_000 });
