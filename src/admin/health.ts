/** A condition's state: it holds, or why not. */
export type ConditionState = true | string;

/** What a probe is told. */
export interface HealthReport {
  readonly ok: boolean;
  /** In the order in which the conditions were named. */
  readonly conditions: readonly {
    readonly name: string;
    readonly state: ConditionState;
    /** What a person should know although the condition holds. */
    readonly notice?: string | undefined;
  }[];
}

/** The state of a process as its probes see it. */
export interface Health {
  /** Sets a condition of readiness, with what a person should know although it holds. */
  set(name: string, state: ConditionState, notice?: string): void;
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
  const ready = new Map<string, Condition>(conditions.map((name) => [name, { state: "not yet known" }]));
  const live = new Map<string, Condition>();
  let shuttingDown = false;

  return {
    set(name, state, notice) {
      ready.set(name, { state, notice });
    },
    setLive(name, state) {
      live.set(name, { state });
    },
    shutDown() {
      shuttingDown = true;
    },
    get shuttingDown() {
      return shuttingDown;
    },
    readiness: () =>
      report(
        shuttingDown ? new Map([...ready, ["shutdown", { state: "this replica is shutting down" }]]) : ready,
      ),
    liveness: () => report(live),
  };
}

interface Condition {
  readonly state: ConditionState;
  readonly notice?: string | undefined;
}

function report(states: ReadonlyMap<string, Condition>): HealthReport {
  const conditions = [...states].map(([name, condition]) => ({ name, ...condition }));
  return { ok: conditions.every(({ state }) => state === true), conditions };
}
