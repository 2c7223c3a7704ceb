/** A condition's state: it holds, or why not. */
export type ConditionState = true | string;

/** What a probe is told. */
export interface HealthReport {
  readonly ok: boolean;
  /** In the order in which the conditions were named. */
  readonly conditions: readonly { readonly name: string; readonly state: ConditionState }[];
}

/** The state of a process as its probes see it. */
export interface Health {
  /** Sets a condition of readiness. */
  set(name: string, state: ConditionState): void;
  /** Sets a condition of life: one that does not hold gets the container restarted, so only for what a restart mends. */
  setLive(name: string, state: ConditionState): void;
  /** Makes the process unready for good, so that it leaves its Service before it stops. It stays live. */
  shutDown(): void;
  readonly shuttingDown: boolean;
  readiness(): HealthReport;
  liveness(): HealthReport;
}

/**
 * The health of a process. It is ready when every condition holds.
 *
 * Those that are named here count from the start: until they are set they do not hold. Others count once they are set.
 */
export function createHealth(conditions: readonly string[] = []): Health {
  const ready = new Map<string, ConditionState>(conditions.map((name) => [name, "not yet known"]));
  const live = new Map<string, ConditionState>();
  let shuttingDown = false;

  return {
    set(name, state) {
      ready.set(name, state);
    },
    setLive(name, state) {
      live.set(name, state);
    },
    shutDown() {
      shuttingDown = true;
    },
    get shuttingDown() {
      return shuttingDown;
    },
    readiness: () =>
      report(shuttingDown ? new Map([...ready, ["shutdown", "this replica is shutting down"]]) : ready),
    liveness: () => report(live),
  };
}

function report(states: ReadonlyMap<string, ConditionState>): HealthReport {
  const conditions = [...states].map(([name, state]) => ({ name, state }));
  return { ok: conditions.every(({ state }) => state === true), conditions };
}
