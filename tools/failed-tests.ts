import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/** Says what failed, a line each, at a run's end: what was said of it in the midst is thousands of lines above. */
// oxlint-disable-next-line import/no-default-export -- what vitest loads of a reporter
export default class FailedTests implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const failures = modules.flatMap((module) => {
      const { relativeModuleId: file, children } = module;
      return [
        ...module.errors().map((error) => failure(file, error)),
        ...[...children.allSuites()].flatMap((suite) =>
          suite.errors().map((error) => failure(`${file} > ${suite.fullName}`, error)),
        ),
        ...[...children.allTests('failed')].map((test) =>
          failure(`${file} > ${test.fullName}`, test.result().errors?.[0]),
        ),
      ];
    });
    failures.push(...unhandled.map((error) => failure('unhandled', error)));
    if (failures.length > 0) process.stdout.write(`\n${failures.join('\n')}\n\n`);
  }
}

function failure(where: string, error?: SerializedError): string {
  return `FAILED  ${where}: ${error?.message.split('\n', 1)[0] ?? 'for no reason given'}`;
}
