import { type Redis, type SentinelAddress, type SentinelConnectionOptions, SentinelConnector } from 'ioredis';
import { SayOnce } from '../say-once.ts';

/**
 * How a client finds its master and hears of failovers. ioredis listens to no error on the connections on which it
 * hears of failovers, and so would print each; here a Sentinel's problem is told once until the Sentinel answers again.
 */
export function sentinelConnector(onProblem: (problem: Error) => void) {
  const said = new SayOnce();
  return class extends SentinelConnector {
    constructor(options: unknown) {
      super(options as SentinelConnectionOptions);
      const connect = this['connectToSentinel'].bind(this) as (to: SentinelAddress, options?: object) => Redis;
      this['connectToSentinel'] = (to: SentinelAddress, more?: object): Redis => {
        const name = `Sentinel ${to.host}:${to.port}`;
        const sentinel = connect(to, more);
        sentinel.on('error', (error: Error) => {
          if (said.isNew(name, error)) onProblem(new Error(`${name}: ${error.message}`, { cause: error }));
        });
        sentinel.on('ready', () => {
          said.over(name);
        });
        // ioredis subscribes anew without listening to the answer: a failure that nobody hears of ends the process.
        const subscribe = sentinel.subscribe.bind(sentinel) as (...channels: unknown[]) => Promise<unknown>;
        sentinel.subscribe = (...channels: unknown[]) => {
          const answer = subscribe(...channels);
          answer.catch(() => {});
          return answer;
        };
        return sentinel;
      };
    }
  };
}
