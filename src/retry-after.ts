/**
 * Retry-After in milliseconds (RFC 9110, 10.2.3); a date counts from the answer's own Date. Date.parse takes much for a
 * date, "-5" too: one has the name of a month.
 */
export function retryAfter(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): number | undefined {
  const value = headers["retry-after"];
  if (typeof value !== "string") return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  if (!/[a-z]{3}/i.test(value)) return undefined;
  const wait = Date.parse(value) - Date.parse(String(headers["date"]));
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}
