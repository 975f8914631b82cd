/** Reported in one line; the run ends with exit code 1. */
export class BenchError extends Error {}

/** The target refuses or lacks what a scenario needs: the run reports that, and leaves the scenario out for it. */
export class UnsupportedError extends Error {}
