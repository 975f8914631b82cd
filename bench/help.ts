import { eventNames } from './events/catalog.ts';
import { scenarios } from './scenarios/catalog.ts';

export function help(): string {
  const names = scenarios.map(({ name }) => name);
  return `Measures servers that speak the AWS KMS API: how many requests a second, how long they take, what they cost.

  npm run bench -- [options]                 measure, print a table, leave a JSON file and an HTML report
  npm run bench -- compare A.json B.json     what moved between two runs beyond the noise
  npm run bench -- budget [--keys N]         every row of the performance budget (docs/performance.md), in ten minutes
  npm run bench -- report A.json             the HTML report of a run, again
  npm run bench -- micro [SUITE]             parts alone: parts (signature, policy, JSON, frame, token), boundary,
                                             channel, session, telemetry, caches
  npm run bench -- model A.json              what 10, 100 and 1,000 cores carry, from a run of encrypt and create-key

What is measured
  --target [NAME=]WHERE   Again for each; several are measured in turn (A B A B), so that ratios are fair. WHERE is
      keyfleet                      a cluster that is started for it (the usual)
      keyfleet-grpc                 the same cluster's gRPC edge
      prototype                     the least that does the path of an Encrypt (--prototype adds it)
      openbao                       OpenBao's transit engine, raft storage and audit file; bao must be on the PATH
      local-kms                     local-kms; must be on the PATH
      http://HOST:PORT              any server that speaks the AWS KMS API; https:// too
      grpc://HOST:PORT              a Keyfleet frontend's gRPC edge; grpcs:// too
      transit+http://HOST:PORT/MOUNT   OpenBao's or Vault's transit engine; token in BAO_TOKEN or VAULT_TOKEN
      plain+http://HOST:PORT/PATH   any web server: GET, and nothing is checked
    then, with commas: ,region=R ,profile=P ,pids=NAME:PID+NAME:PID (their CPU and memory are measured too)
    ,also=HOST:PORT+HOST:PORT (more of the same: connections are dealt out); of a cluster that is started:
    ,frontends=N ,tls=on ,callers=N ,as=KIND (the requests that are timed are of N callers, each a KIND: user,
    conditions: a user whose policies have conditions, role: a session of a role, grant: a user whom a grant allows)
    Credentials come as for the AWS CLI: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the shared files.
  --scenario A,B          what is called; the names are below
  --mix FILE              calls mixed by weight: {"encrypt": 60, "decrypt": 39, "create-key": 1}; there are
                          bench/mixes/envelope.json (much Decrypt) and steady.json (Encrypt, some CreateKey)
  --keys N,N              keys that are used: 1, 1k, 100k, 1M (1); they are made through the API first
  --use HOW               how the next key is chosen: turn, uniform, zipf, zipf:1.2 (turn)
  --payload N,N           bytes of a plaintext or message, to 4096 (32)
  --context N,N           pairs of the encryption context, to 8 (1)
  --during EVENT,...      what happens meanwhile to a cluster that was started for it:
                          ${eventNames.join(', ')}

How it is loaded
  --connections N,N       closed loop: each sends its next request when it has its answer (1,16,64)
  --rate N,N              open loop: requests arrive at this rate whatever the server does, over as many connections as
                          --connections says at most; latency counts from the intended arrival. 50% is half of the peak;
                          with numbers alone there is no closed loop
  --search MS             the highest rate at which p99 stays under so many milliseconds
  --max-stall MS          exit code 1 when an event loop of a cluster that was started was held up longer
  --seconds N             for each point (5), after --warmup N seconds (1.5)
  --rounds N              for each point (1); the table has the median. Compare needs 3
  --generators N          processes that make the load (one for each four cores)
  --workers N             hsm-workers of a cluster that is started (2)

What it leaves
  --out FILE              FILE.json and FILE.html (bench/results/DATE); - prints the JSON as the last line
  --cpu-prof              where the CPU of each service went, by function: one more round for each scenario
  --quick                 a first look, in less than two minutes
  --help

Scenarios
${wrapped(names)}

A first look at a server of your own:
  AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... npm run bench -- --quick --target mine=http://127.0.0.1:4566
`;
}

function wrapped(words: readonly string[]): string {
  const lines = ['  '];
  for (const word of words) {
    if (lines.at(-1)!.length + word.length > 116) lines.push('  ');
    lines[lines.length - 1] += `${word} `;
  }
  return lines.map((line) => line.trimEnd()).join('\n');
}
