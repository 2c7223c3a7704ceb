/** A reader of tar written from POSIX's pax page alone, to hold the writer against. */

/** One entry with its content. */
export interface ReadEntry {
  readonly path: Buffer;
  readonly typeFlag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly owner: string;
  readonly device: string;
  readonly size: number;
  readonly target: Buffer;
  readonly content: Buffer;
  /** Whether an extended header came before it, and whether the prefix field was used. */
  readonly form: "name" | "prefix" | "pax";
}

/** Reads a whole archive, which must end in two blocks of zeros and nothing more. */
export function readTar(archive: Uint8Array): ReadEntry[] {
  const bytes = Buffer.from(archive);
  const entries: ReadEntry[] = [];
  let offset = 0;
  let extended: Map<string, Buffer> | undefined;
  while (!bytes.subarray(offset, offset + 512).every((byte) => byte === 0)) {
    const header = bytes.subarray(offset, offset + 512);
    const entry = readHeader(header, extended);
    const content = bytes.subarray(offset + 512, offset + 512 + entry.size);
    if (content.length !== entry.size) throw new Error("content is cut off");
    offset += 512 * (1 + Math.ceil(entry.size / 512));
    if (!bytes.subarray(offset - ((512 - (entry.size % 512)) % 512), offset).every((byte) => byte === 0)) {
      throw new Error("padding is not zero");
    }
    if (entry.typeFlag === "x") {
      if (extended !== undefined) throw new Error("two extended headers in a row");
      extended = readRecords(content);
    } else {
      entries.push({ ...entry, content });
      extended = undefined;
    }
  }
  if (extended !== undefined) throw new Error("an extended header with nothing after it");
  if (bytes.length - offset !== 1024) throw new Error(`${bytes.length - offset} bytes at the end`);
  return entries;
}

/** Reads a header block; sizes and names of the extended header before it win. */
export function readHeader(
  header: Buffer,
  extended?: ReadonlyMap<string, Buffer>,
): Omit<ReadEntry, "content"> {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (!/^[0-7]{6}\0 $/.test(header.toString("latin1", 148, 156)) || octal(header, 148, 6) !== sum) {
    throw new Error("wrong checksum");
  }
  if (header.toString("latin1", 257, 265) !== "ustar\u000000") throw new Error("not ustar");
  const name = field(header, 0, 100);
  const prefix = field(header, 345, 155);
  const short = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from("/"), name]);
  const size = extended?.get("size");
  return {
    path: extended?.get("path") ?? short,
    typeFlag: header.toString("latin1", 156, 157),
    mode: octal(header, 100, 7),
    uid: octal(header, 108, 7),
    gid: octal(header, 116, 7),
    size: size === undefined ? octal(header, 124, 11) : Number(size.toString()),
    mtime: octal(header, 136, 11),
    target: extended?.get("linkpath") ?? field(header, 157, 100),
    owner: header.toString("latin1", 265, 329).replaceAll("\0", ""),
    device: header.toString("latin1", 329, 345),
    form: extended !== undefined ? "pax" : prefix.length > 0 ? "prefix" : "name",
  };
}

/** Reads `<length> <key>=<value>\n` records; a length that does not lead to the newline is an error. */
export function readRecords(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let offset = 0; offset < content.length;) {
    const space = content.indexOf(" ", offset);
    const length = Number(content.toString("latin1", offset, space));
    const record = content.subarray(offset, offset + length);
    const equals = content.indexOf("=", space);
    if (
      !(length > 0) ||
      record.length !== length ||
      record[length - 1] !== 0x0a ||
      equals > offset + length
    ) {
      throw new Error(`malformed record at ${offset}`);
    }
    records.set(
      content.toString("latin1", space + 1, equals),
      content.subarray(equals + 1, offset + length - 1),
    );
    offset += length;
  }
  return records;
}

function octal(header: Buffer, offset: number, digits: number): number {
  const text = header.toString("latin1", offset, offset + digits + 1);
  if (!/^[0-7]+\0$/.test(text)) throw new Error(`not an octal number at ${offset}: ${JSON.stringify(text)}`);
  return Number.parseInt(text, 8);
}

function field(header: Buffer, offset: number, length: number): Buffer {
  const bytes = header.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}
