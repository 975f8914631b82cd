import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** `*.slow.test.ts`, beside the code too, each in a process of its own: scrypt, RSA-4096, properties, models. */
const besideTheCode = (name: string): string[] => [
  `{packages,services}/*/src/**/${name}`,
  `{test,tools}/${name}`,
  `bench/**/${name}`,
];

/** For what never comes. What does may take longer than vitest's second while another file has the core. */
const polling = { expect: { poll: { timeout: 30_000 } } };
const cores = availableParallelism();
/**
 * Vitest leaves a core free, which on two cores is one file at a time. After the integration tests: when those begin,
 * the workers of the projects' shared clusters make RSA keys ahead, which takes a core from a test for seconds.
 */
const onAllCores = { ...polling, maxWorkers: cores, sequence: { groupOrder: 1 } };
/** A core for the cluster that they ask: it makes and opens RSA keys within a request's time. */
const besideACluster = { ...polling, maxWorkers: Math.max(1, cores - 1), sequence: { groupOrder: 4 } };

/** The integration tests that take most of a minute or more. One that began last would run when all others are done. */
const longest = [
  'chaos',
  'bench',
  'runbooks',
  'memory',
  'start',
  'strangers-inside',
  'import-kills',
  'domain',
  'strangers',
  'multi-region-kills',
];

/** Vitest takes the longest first that it has run before, and in a fresh clone the largest. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      const at = longest.indexOf(basename(moduleId, '.test.ts'));
      return at < 0 || project.name !== 'integration' ? longest.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => rank(one) - rank(other));
  }
}

/** Unit tests stand beside the code; the others have a folder each, because they need more than the code. */
export default defineConfig({
  test: {
    // npm run coverage.
    coverage: {
      provider: 'v8',
      include: ['{packages,services}/*/src/**/*.ts'],
      exclude: ['**/*.{test,contract}.ts'],
      reporter: [['text', { skipFull: true }], 'text-summary'],
      reportsDirectory: 'node_modules/.cache/keyfleet/coverage',
    },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          ...onAllCores,
          // Two hundred small files: to start a process and load the code again for each takes longer than the tests.
          isolate: false,
          include: besideTheCode('*.test.ts'),
          exclude: [...configDefaults.exclude, '**/*.slow.test.ts'],
          // For one that hangs. What takes half a second alone has taken more than vitest's 5 s on a busy machine.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'slow',
          ...onAllCores,
          include: besideTheCode('*.slow.test.ts'),
          testTimeout: 120_000,
          // Some make RSA keys before each test.
          hookTimeout: 120_000,
        },
      },
      { test: { name: 'vectors', ...onAllCores, include: ['test/vectors/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'conformance',
          ...onAllCores,
          include: ['test/conformance/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'sdk',
          ...besideACluster,
          include: ['test/conformance/{sdk,answers}/*.test.ts'],
          globalSetup: ['test/support/sdk-setup.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'programs',
          ...besideACluster,
          include: ['test/programs/*.test.ts'],
          globalSetup: ['test/support/programs-setup.ts'],
          testTimeout: 120_000,
          // Each is a process that takes a core for a second.
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'kubernetes',
          ...polling,
          include: ['test/kubernetes/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 900_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'terraform',
          ...polling,
          include: ['test/terraform/*.test.ts'],
          globalSetup: ['test/support/sdk-setup.ts'],
          testTimeout: 600_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'integration',
          ...polling,
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Two at a time, and none beside the others: most of their time is waiting for processes, and what they wait
          // for takes both cores.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
    ],
  },
});
