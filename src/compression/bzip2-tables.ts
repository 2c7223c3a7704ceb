import type { BitReader } from "./bit-reader.ts";

/** The longest code, in bits. */
const maxCodeLength = 20;
/** Bytes, two run symbols and the end, less the byte that is at the front. */
const maxSymbols = 258;
/** Selectors are 15 bits; more than a block of 900,000 can use are there in files of some compressors. */
const maxSelectors = 2 ** 15;

/** Codes of one table: symbols by the order of their codes, with what tells a code's length. */
export interface CodeTable {
  readonly minLength: number;
  /** By length: a code of 20 bits below it is at most so long. */
  readonly limits: Int32Array;
  /** By length: what a code is above the position of its symbol. */
  readonly offsets: Int32Array;
  readonly symbols: Uint16Array;
}

/** What a block says before its data. */
export interface BlockTables {
  /** The bytes that occur, ascending. */
  readonly bytes: Uint8Array;
  readonly tables: readonly CodeTable[];
  /** Which table is for each 50 symbols. */
  readonly selectors: Uint8Array;
}

/** Reads a block's tables. @throws Error */
export function readTables(bits: BitReader): BlockTables {
  const bytes = readBytes(bits);
  const tableCount = bits.read(3);
  if (tableCount < 2 || tableCount > 6) throw damaged();
  const selectors = readSelectors(bits, tableCount);
  const tables: CodeTable[] = [];
  while (tables.length < tableCount) tables.push(readTable(bits, bytes.length + 2));
  return { bytes, tables, selectors };
}

/** The next symbol. @throws Error if no code is like this. */
export function readSymbol(bits: BitReader, { minLength, limits, offsets, symbols }: CodeTable): number {
  const code = bits.peek(maxCodeLength);
  let length = minLength;
  while (length <= maxCodeLength && code >= (limits[length] ?? 0)) length++;
  const symbol = symbols[(code >> (maxCodeLength - length)) - (offsets[length] ?? 0)];
  if (length > maxCodeLength || symbol === undefined) throw damaged();
  bits.pass(length);
  return symbol;
}

/** What is wrong with most of what is wrong. */
export function damaged(): Error {
  return new Error("compressed data is corrupt");
}

/** Two levels of flags: groups of 16 bytes, bytes in each. */
function readBytes(bits: BitReader): Uint8Array {
  const groups = bits.read(16);
  const bytes: number[] = [];
  for (let group = 0; group < 16; group++) {
    const members = (groups >> (15 - group)) & 1 ? bits.read(16) : 0;
    for (let member = 0; member < 16; member++) {
      if ((members >> (15 - member)) & 1) bytes.push(group * 16 + member);
    }
  }
  if (bytes.length === 0) throw damaged();
  return Uint8Array.from(bytes);
}

/** Numbers of tables, each as its place in a list where the latest one is moved to the front. */
function readSelectors(bits: BitReader, tableCount: number): Uint8Array {
  const selectors = new Uint8Array(bits.read(15) % maxSelectors);
  if (selectors.length === 0) throw damaged();
  const order = Uint8Array.from({ length: tableCount }, (_, table) => table);
  for (let at = 0; at < selectors.length; at++) {
    let place = 0;
    while (bits.read(1) === 1) if (++place === tableCount) throw damaged();
    const table = order[place] ?? 0;
    order.copyWithin(1, 0, place);
    order[0] = table;
    selectors[at] = table;
  }
  return selectors;
}

/** Lengths of codes, each as its difference to the one before, and what follows from them. */
function readTable(bits: BitReader, symbolCount: number): CodeTable {
  const lengths = new Uint8Array(maxSymbols);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (length < 1 || length > maxCodeLength) throw damaged();
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  const limits = new Int32Array(maxCodeLength + 1);
  const offsets = new Int32Array(maxCodeLength + 1);
  const symbols = new Uint16Array(symbolCount);
  let minLength = 0;
  let placed = 0;
  let code = 0;
  for (length = 1; length <= maxCodeLength; length++) {
    offsets[length] = code - placed;
    for (let symbol = 0; symbol < symbolCount; symbol++) {
      if (lengths[symbol] !== length) continue;
      symbols[placed++] = symbol;
      code++;
    }
    if (minLength === 0 && placed > 0) minLength = length;
    limits[length] = code << (maxCodeLength - length);
    code <<= 1;
  }
  return { minLength, limits, offsets, symbols };
}
