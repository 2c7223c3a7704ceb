/** One way of authentication that a server offers (RFC 9110, 11.6.1). */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
/** A parameter: a name, "=", a token or a quoted string. Real servers quote what they need not, and the reverse. */
const parameter = new RegExp(`(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\[^])*)"|([^\\s,"]*))`, "y");
const scheme = new RegExp(`(${token})(?:\\s+|(?=,)|$)`, "y");
const separator = /[\s,]*/y;

/** Reads the values of WWW-Authenticate; one may hold several challenges. What cannot be read ends the value. */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  return [header ?? []].flat().flatMap((value) => parseValue(value));
}

function parseValue(text: string): readonly Challenge[] {
  const found: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  let at = 0;
  const match = (sticky: RegExp): RegExpExecArray | undefined => {
    sticky.lastIndex = at;
    const result = sticky.exec(text) ?? undefined;
    if (result !== undefined) at = sticky.lastIndex;
    return result;
  };
  for (match(separator); at < text.length; match(separator)) {
    const current = found.at(-1);
    const pair = current === undefined ? undefined : match(parameter);
    if (pair !== undefined && current !== undefined) {
      const value = pair[2]?.replace(/\\([^])/g, "$1") ?? pair[3] ?? "";
      current.parameters.set((pair[1] ?? "").toLowerCase(), value);
      continue;
    }
    const name = match(scheme)?.[1];
    if (name === undefined) break;
    found.push({ scheme: name.toLowerCase(), parameters: new Map() });
  }
  return found;
}
