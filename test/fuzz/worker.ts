/** The thread that fuzzes: all targets by turns, until the time is over. */
import { parentPort, workerData } from "node:worker_threads";

import { Session, type Failure } from "./session.ts";
import { loadTarget } from "./targets.ts";
import { noteInput, type FuzzMessage, type FuzzWork } from "./worker-data.ts";

const { names, seed, milliseconds, shared } = workerData as FuzzWork;
/** Turns are so long; long enough that what one target has compiled is worth it. */
const turnMs = 2000;

const sessions: Session[] = [];
for (const name of names) {
  const target = await loadTarget(name);
  sessions.push(new Session(target, seed, (input) => noteInput(shared, name, input)));
}
const failures = new Map<string, Failure>();
const end = performance.now() + milliseconds;
while (performance.now() < end && failures.size < sessions.length) {
  for (const session of sessions) {
    const { name } = session.target;
    const time = Math.min(end, performance.now() + Math.min(turnMs, milliseconds / sessions.length));
    const failure = failures.has(name) ? undefined : await session.run({ time });
    if (failure !== undefined) failures.set(name, failure);
  }
  tell(false);
}
tell(true);

function tell(done: boolean): void {
  const results = sessions.map(({ target: { name }, executions, accepted, kinds }) => {
    const failure = failures.get(name);
    return { target: name, executions, accepted, kinds, ...(failure === undefined ? {} : { failure }) };
  });
  parentPort?.postMessage({ results, done } satisfies FuzzMessage, []);
}
