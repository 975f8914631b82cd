/** Said in one line; the run ends with exit code 1. */
export class BenchError extends Error {}

/** The target refuses or lacks what a scenario needs: the scenario is left out for that target, and that is said. */
export class UnsupportedError extends Error {}
