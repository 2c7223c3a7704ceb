import { Environment } from "@marcbachmann/cel-js";
import type { KubernetesObject } from "./chart.ts";
import type { PolicyCase } from "./policy-cases.ts";

interface NamedExpression {
  readonly name: string;
  readonly expression: string;
}

interface Validation {
  readonly expression: string;
  readonly messageExpression: string;
}

interface PolicySpec {
  readonly matchConstraints: {
    readonly resourceRules: readonly {
      readonly operations: readonly string[];
      readonly resources: readonly string[];
    }[];
  };
  readonly matchConditions?: readonly NamedExpression[];
  readonly variables: readonly NamedExpression[];
  readonly validations: readonly Validation[];
}

/** A request as expressions see it. */
export type PolicyRequest = Pick<PolicyCase, "operation" | "namespace"> & {
  readonly pod: object;
  readonly before?: object;
};

/** Kubernetes checks types when it stores an expression; here all of a Pod is dynamic. */
const environment = new Environment({ unlistedVariablesAreDyn: true });

/** Whether all of a webhook's match conditions hold. */
export function matches(conditions: readonly NamedExpression[], request: PolicyRequest): boolean {
  return conditions.every(({ expression }) => evaluate(expression, contextOf(request)) === true);
}

/** The first message of a ValidatingAdmissionPolicy about a request; undefined: it lets it pass. */
export function validate(policy: KubernetesObject, request: PolicyRequest): string | undefined {
  const spec = policy.spec as PolicySpec;
  const [rule] = spec.matchConstraints.resourceRules;
  const resource = request.operation === "EPHEMERAL" ? "pods/ephemeralcontainers" : "pods";
  if (rule?.operations.includes(operationOf(request)) !== true || !rule.resources.includes(resource))
    return undefined;
  const context = { ...contextOf(request), variables: {} as Record<string, unknown> };
  if (!matches(spec.matchConditions ?? [], request)) return undefined;
  for (const { name, expression } of spec.variables) {
    // As in Kubernetes: when it is asked for, once.
    let value: { readonly of: unknown } | undefined;
    Object.defineProperty(context.variables, name, {
      enumerable: true,
      get: () => (value ??= { of: evaluate(expression, context) }).of,
    });
  }
  const failed = spec.validations.find(({ expression }) => evaluate(expression, context) !== true);
  return failed && String(evaluate(failed.messageExpression, context));
}

function contextOf(request: PolicyRequest): Record<string, unknown> {
  return {
    object: request.pod,
    oldObject: request.before ?? null,
    request: { operation: operationOf(request), namespace: request.namespace },
  };
}

function operationOf({ operation }: PolicyRequest): "CREATE" | "UPDATE" {
  return operation === "CREATE" ? "CREATE" : "UPDATE";
}

function evaluate(expression: string, context: Record<string, unknown>): unknown {
  return environment.evaluate(expression, context) as unknown;
}
