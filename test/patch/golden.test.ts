/**
 * Golden pairs: test/golden/<case>.yaml is a Pod as it comes to the webhook, <case>.injected.yaml what becomes of it,
 * or <case>.error.txt why it is refused, <case>.warnings.txt what its creator is told beside.
 *
 * UPDATE=1 rewrites them; look at what changed before you commit it.
 */
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { NixClosureError } from "../../src/errors.ts";
import type { Injection } from "../../src/patch/inject.ts";
import { parsePod } from "../../src/patch/pod.ts";
import type { AdmissionSettings } from "../../src/webhook/admission.ts";
import { GoldenFolder } from "./golden-files.ts";
import { expectSound } from "./invariants.ts";
import { testAdmission } from "./test-admission.ts";

const folder = new GoldenFolder("./");
const files = folder.list();
const cases = files.filter((name) => /^[^.]+\.yaml$/.test(name)).map((name) => name.replace(/\.yaml$/, ""));

/** What came of a review, as the golden files have it. */
interface Outcome {
  readonly injected?: string;
  readonly warnings?: string;
  readonly error?: string;
}

describe("golden Pods", () => {
  test.for(cases)("%s", async (name) => {
    const text = folder.read(`${name}.yaml`);
    const admission = testAdmission(settingsOf(text));
    let outcome: Outcome;
    try {
      const pod = parsePod(parse(text));
      const injection = await admission.inject(pod, pod.metadata.namespace ?? "default");
      if (injection === undefined) throw new Error("the Pod asks for nothing");
      await expectSound(pod, injection, admission);
      outcome = describeInjection(injection);
    } catch (error) {
      if (!(error instanceof NixClosureError)) throw error;
      outcome = { error: `${error.message} [${error.code}]\n` };
    }
    expect(outcome.injected).toEqual(folder.expected(`${name}.injected.yaml`, outcome.injected));
    expect(outcome.warnings).toEqual(folder.expected(`${name}.warnings.txt`, outcome.warnings));
    expect(outcome.error).toEqual(folder.expected(`${name}.error.txt`, outcome.error));
  });

  test("every expected file belongs to a Pod", () => {
    const stems = files.map((file) => file.replace(/(?:\.injected)?\.yaml$|\.(?:error|warnings)\.txt$/, ""));
    expect(stems.filter((stem) => !cases.includes(stem))).toEqual([]);
  });
});

function describeInjection({ pod, warnings }: Injection): Outcome {
  return {
    injected: stringify(pod, { lineWidth: 0, aliasDuplicateObjects: false }),
    ...(warnings.length === 0 ? {} : { warnings: warnings.map((warning) => `${warning}\n`).join("") }),
  };
}

/** A case's first lines may say `# settings: {...}`, which override the test's AdmissionSettings. */
function settingsOf(text: string): Partial<AdmissionSettings> {
  const settings = /^# settings: (.*)$/m.exec(text)?.[1];
  return settings === undefined ? {} : (parse(settings) as Partial<AdmissionSettings>);
}
