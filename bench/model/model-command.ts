import { BenchError } from '../bench-error.ts';
import type { Point, Results } from '../measure/results.ts';
import { summarize } from '../measure/summary.ts';
import { readResults } from '../report/results-file.ts';
import { type Capacity, capacityOf, predictedHere, resealTime, usualAssumptions } from './capacity.ts';
import { closedLoops, type Costs, frontendsOf, fullest, type Inputs, inputsOf } from './inputs.ts';

const CORES = [10, 100, 1000];
const STORED = 100_000_000;
const RESEAL_SHARE = 0.1;

/** `npm run bench -- model A.json`: what fleets of 10, 100 and 1,000 cores carry, from what a run measured. */
export function model([file, ...rest]: readonly string[]): void {
  if (file === undefined || rest.length > 0) {
    throw new BenchError('model takes one file of a run of encrypt and create-key: npm run bench -- model A.json');
  }
  const results = readResults(file);
  const inputs = inputsOf(results);
  const lines = [...inputLines(inputs, results), '', ...capacityLines(inputs), '', ...checkLines(inputs, results)];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function inputLines(inputs: Inputs, { machine, command }: Results): string[] {
  const costs = ({ frontend, workers, redis, nats, rest, generator }: Costs) =>
    `frontend ${frontend.toFixed(0)}, workers ${workers.toFixed(0)}, redis ${redis.toFixed(0)}, nats ${nats.toFixed(0)}, domain-manager ${rest.toFixed(0)}, generator ${generator.toFixed(0)} us`;
  const { busy, streamSeconds, changes } = usualAssumptions;
  return [
    `measured by: ${command} (commit ${machine.commit}, ${machine.cores} x ${machine.cpu})`,
    `  an Encrypt, batched  ${costs(inputs.encrypt)}`,
    `  an Encrypt, alone    ${costs(inputs.encryptAlone)}`,
    `  a CreateKey, batched ${costs(inputs.createKey)}`,
    `taken: a stream costs ${inputs.streamOpening} us when it opens (npm run bench -- micro session) and lasts ${streamSeconds} s; a notice costs`,
    `  ${inputs.notice} us; ${100 * changes} % of calls change a key; a core is ${100 * busy} % busy; one process for each core`,
  ];
}

function capacityLines(inputs: Inputs): string[] {
  const rows = CORES.map((cores) => capacityOf(inputs, cores));
  return [
    'cores  frontends  workers  Encrypt/s      alone  notices  streams  CreateKey/s  limited by             Encrypt/s of cold keys, limited by',
    ...rows.map(row),
    ...CORES.map((cores) => {
      const { hours, wall } = resealTime(inputs, STORED, cores, RESEAL_SHARE);
      const given = `${100 * RESEAL_SHARE} % of ${cores} cores`;
      return `resealing ${STORED / 1e6} M keys with ${given} takes ${hours.toFixed(1)} hours, limited by ${wall}`;
    }),
  ];
}

function row(capacity: Capacity): string {
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  return [
    String(capacity.cores).padStart(5),
    String(capacity.frontends).padStart(10),
    String(capacity.workers).padStart(8),
    capacity.encrypts.toFixed(0).padStart(10),
    capacity.encryptsAlone.toFixed(0).padStart(10),
    percent(capacity.noticeShare).padStart(8),
    percent(capacity.streamShare).padStart(8),
    capacity.createKeys.toFixed(0).padStart(12),
    ` ${capacity.createKeyWall.padEnd(22)}`,
    `${capacity.coldEncrypts.toFixed(0)}, ${capacity.coldWall}`,
  ].join(' ');
}

/**
 * The model against the run: what the first target's costs, at the most connections, say of every target that was
 * started. Only what the cores were free for can be reached.
 */
function checkLines(inputs: Inputs, results: Results): string[] {
  const scenarios = { encrypt: inputs.encrypt, 'create-key': inputs.createKey };
  return Object.entries(scenarios).flatMap(([scenario, costs]) => {
    const { connections } = fullest(results, scenario).loop;
    const points = closedLoops(results, scenario).filter(({ loop }) => loop.connections === connections);
    return points.map((point) => checkLine(point, costs, results.machine.cores));
  });
}

function checkLine(point: Point, costs: Costs, cores: number): string {
  const { perSecond, othersCores } = summarize(point);
  const frontends = frontendsOf(point);
  const predicted = predictedHere(costs, { freeCores: cores - othersCores, frontends });
  const off = (100 * (perSecond.median - predicted)) / predicted;
  const where = `${point.scenario} of ${point.target} at ${point.loop.connections} connections`;
  const rates = `predicted ${predicted.toFixed(0)}/s, measured ${perSecond.median.toFixed(0)}/s (${off.toFixed(0)} %)`;
  return `check, ${where}, ${frontends} frontend${frontends === 1 ? '' : 's'}: ${rates}; others had ${othersCores.toFixed(1)} cores`;
}
