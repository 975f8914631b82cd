import { defineConfig } from 'vitest/config';

/** Unit tests stand beside the code; the others have a folder each, because they need more than the code. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,services}/*/src/**/*.test.ts', '{test,tools}/*.test.ts', 'bench/**/*.test.ts'],
        },
      },
      { test: { name: 'vectors', include: ['test/vectors/**/*.test.ts'], testTimeout: 60_000 } },
      {
        test: {
          name: 'conformance',
          include: ['test/conformance/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'sdk',
          include: ['test/conformance/{sdk,answers}/*.test.ts'],
          globalSetup: ['test/support/sdk-setup.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'programs',
          include: ['test/programs/*.test.ts'],
          globalSetup: ['test/support/programs-setup.ts'],
          testTimeout: 120_000,
          // Each is a process that takes a core for a second.
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Two at a time, and none beside the others: most of their time is waiting for processes, and what they wait for takes both cores.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          // They kill processes and wait for others on a machine of any load. The report names what passed only at the second try.
          retry: 1,
        },
      },
    ],
  },
});
