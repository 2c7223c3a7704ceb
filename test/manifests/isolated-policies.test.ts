import { describe, expect, test } from "vitest";
import { validate } from "./cel.ts";
import { findObject } from "./chart.ts";
import { isolate, isolatedNamespace, isolatedPolicies, isolatedPolicy } from "./isolated-policies.ts";
import { kubernetesTools, toolsMissing } from "./kubernetes-tools.ts";
import { policyCases, policyNames, type PolicyCase } from "./policy-cases.ts";

const tools = kubernetesTools();

describe.skipIf(tools === undefined)(
  `isolated policies${tools === undefined ? ` (${toolsMissing})` : ""}`,
  () => {
    const policies = tools === undefined ? [] : isolatedPolicies(tools.helm).first;

    /** Which of them refuses a case's Pod first. */
    function refusedBy({ operation, namespace, pod, before }: PolicyCase): string | undefined {
      const request = {
        operation,
        namespace: isolatedNamespace(namespace),
        pod: isolate(pod),
        ...(before === undefined ? {} : { before: isolate(before) }),
      };
      return policyNames.find((name) => {
        const policy = findObject(policies, "ValidatingAdmissionPolicy", isolatedPolicy(name));
        return validate(policy, request) !== undefined;
      });
    }

    test("they judge isolated Pods as the chart's judge the cases", () => {
      const wrong = policyCases.filter((case_) => refusedBy(case_) !== case_.refused?.by);
      expect(wrong.map(({ name }) => name)).toEqual([]);
    });
  },
);
