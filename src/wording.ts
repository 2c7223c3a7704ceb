/** Quotes foreign text for a message: control characters escaped, long text cut at 200 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

/** Of things of one kind so many are named in a message; whoever has more to mend mends these first. */
export const maxListed = 20;

/**
 * Joins the first {@link maxListed} items for a message, and says whether there are more. Each is cut at 1000
 * characters: what a Pod says comes here before the API server has looked at any length.
 */
export function listed(items: readonly string[], separator = ", "): string {
  const shown = items
    .slice(0, maxListed)
    .map((item) => (item.length > 1000 ? `${item.slice(0, 1000)}…` : item));
  return (items.length > shown.length ? [...shown, "and more"] : shown).join(separator);
}

/** A number of bytes for a person, for instance `20.0 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** The known word with the smallest edit distance (Levenshtein) to a word, or to its first 100 characters; the first of several. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  return nearestWords(word, known, 1)[0];
}

/** The known words nearest to a word, as {@link nearest} has it, the nearest first, at most so many. */
export function nearestWords(word: string, known: readonly string[], most: number): readonly string[] {
  const start = word.slice(0, 100);
  return known
    .map((candidate) => ({ candidate, distance: editDistance(start, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
