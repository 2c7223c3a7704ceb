import { styleText } from "node:util";
import { structuredPatch } from "diff";
import { stringify } from "yaml";

/** Unchanged lines around each change. */
const context = 2;
/** Of more lines added in a row only the first ones are shown. */
const longestRun = 26;
const shownOfLongRun = 12;

/** The differences between two values as YAML: the lines of a unified diff, coloured if standard output has colours. */
export function yamlDiff(before: unknown, after: unknown): readonly string[] {
  const [left, right] = [toYaml(before), toYaml(after)];
  const { hunks } = structuredPatch("before", "after", left, right, "", "", { context });
  return hunks.flatMap(({ oldStart, oldLines, newStart, newLines, lines }) => [
    styleText("cyan", `@@ -${oldStart},${oldLines} +${newStart},${newLines} @@`),
    ...shortened(lines).map(colour),
  ]);
}

function toYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** The lines with the rest of each long run of additions left out, saying so. */
function shortened(lines: readonly string[]): readonly string[] {
  const shown: string[] = [];
  for (let at = 0; at < lines.length;) {
    const end = lines.findIndex((line, i) => i >= at && !line.startsWith("+"));
    const run = (end === -1 ? lines.length : end) - at;
    if (run > longestRun) {
      shown.push(
        ...lines.slice(at, at + shownOfLongRun),
        `  … ${run - shownOfLongRun} more lines of this kind`,
      );
      at += run;
    } else {
      shown.push(...lines.slice(at, at + Math.max(run, 1)));
      at += Math.max(run, 1);
    }
  }
  return shown;
}

function colour(line: string): string {
  if (line.startsWith("+")) return styleText("green", line);
  if (line.startsWith("-")) return styleText("red", line);
  return line.startsWith("  …") ? styleText("dim", line) : line;
}
