/**
 * Rows as lines with aligned columns, two spaces between them and none at the end.
 * @param sides a letter a column: `l` or `r`, the side that its cells stand at.
 */
export function alignColumns(rows: readonly (readonly string[])[], sides: string): readonly string[] {
  const widths = Array.from({ length: sides.length }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return sides[column] === "r" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}
