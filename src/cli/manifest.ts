import jsonPatch, { unescapePathComponent, type Operation } from "fast-json-patch";
import {
  type Document,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  type ScalarTag,
  type Tags,
  visit,
  type YAMLMap,
} from "yaml";
import { manifestInvalid } from "../errors.ts";
import { FlowPadding } from "./flow-padding.ts";

/** One document of a manifest file, that operations can be applied to. */
export interface ManifestDocument {
  /** The document as plain data, as it was read. */
  readonly value: unknown;
  /** Applies operations whose paths begin below `base`. */
  apply(base: readonly (string | number)[], operations: readonly Operation[]): void;
  /** The document's text; the very text that was read if nothing was applied. */
  toText(): string;
}

/**
 * Reads a manifest file: JSON, or YAML of any number of documents.
 * @param name the file's name, for messages.
 * @throws manifestInvalid
 */
export function parseManifest(text: string, name: string): readonly ManifestDocument[] {
  return /^\s*[{[]/.test(text) && isJson(text) ? [jsonDocument(text)] : yamlDocuments(text, name);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function jsonDocument(text: string): ManifestDocument {
  const value: unknown = JSON.parse(text);
  let edited: unknown;
  return {
    value,
    apply(base, operations) {
      edited ??= structuredClone(value);
      const below = base.map((key) => `/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
      jsonPatch.applyPatch(
        edited,
        operations.map((operation) => ({ ...operation, path: below + operation.path })),
      );
    },
    toText() {
      if (edited === undefined) return text;
      const indent = /^[{[]\r?\n([ \t]+)/.exec(text.trimStart())?.[1] ?? (text.trim().includes("\n") ? 2 : 0);
      return withLineEnds(`${JSON.stringify(edited, null, indent)}\n`, text);
    },
  };
}

/** A text that ends in a newline with line ends as another one has them, at its end too. */
function withLineEnds(text: string, like: string): string {
  const lines = like.endsWith("\n") ? text : text.slice(0, -1);
  return like.includes("\r\n") ? lines.replaceAll("\n", "\r\n") : lines;
}

function yamlDocuments(text: string, name: string): readonly ManifestDocument[] {
  const padding = new FlowPadding(text);
  const customTags = (tags: Tags): Tags => padding.tags(keepNumbers(tags));
  const documents = parseAllDocuments(text, { merge: true, customTags });
  // A text of nothing but comments and white space.
  if (documents.length === 0) return [{ value: null, apply: () => {}, toText: () => text }];
  let start = 0;
  return documents.map((document, i) => {
    const [error] = document.errors;
    if (error) throw manifestInvalid(name, error.message.split("\n", 1)[0] ?? "").causedBy(error);
    const end = i === documents.length - 1 ? text.length : document.range[2];
    const source = text.slice(start, end);
    start = end;
    padding.learn(document);
    return yamlDocument(document, source, text, name);
  });
}

/**
 * Numbers are written as they were read. Kubernetes reads YAML 1.1, in which 0644 is octal, so that what stands there
 * may not be normalised.
 */
function keepNumbers(tags: Tags): Tags {
  return tags.map((tag) => {
    if (typeof tag === "string" || !/:(int|float)$/.test(tag.tag) || tag.collection !== undefined) return tag;
    const { stringify } = tag;
    const kept: ScalarTag = {
      ...tag,
      stringify: (item, ...more) => item.source ?? stringify?.(item, ...more) ?? String(item.value),
    };
    return kept;
  });
}

function yamlDocument(
  document: Document.Parsed,
  source: string,
  text: string,
  name: string,
): ManifestDocument {
  let changed = false;
  return {
    value: plainValue(document, name),
    apply(base, operations) {
      if (!changed) expandAliases(document);
      changed = true;
      for (const operation of operations) applyToYaml(document, base, operation);
    },
    toText() {
      if (!changed) return source;
      return withLineEnds(document.toString({ lineWidth: 0, ...indentation(document, text) }), source);
    },
  };
}

function plainValue(document: Document.Parsed, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 1000 });
  } catch (error) {
    throw manifestInvalid(name, error instanceof Error ? error.message : String(error)).causedBy(error);
  }
}

/** As the file has it: how far maps are indented, and whether the dashes of a list stand below its key. */
function indentation(document: Document.Parsed, text: string): { indent: number; indentSeq: boolean } {
  let indent: number | undefined;
  let indentSeq: boolean | undefined;
  const column = (offset: number): number => offset - (text.lastIndexOf("\n", offset - 1) + 1);
  visit(document, {
    Pair(_key, { key, value }) {
      if (!isNode(key) || !key.range || !isCollection(value) || !value.range) return;
      if (!text.slice(key.range[0], value.range[0]).includes("\n")) return;
      const by = column(value.range[0]) - column(key.range[0]);
      if (isSeq(value)) indentSeq ??= by > 0;
      else if (by > 0) indent ??= by;
    },
  });
  return { indent: indent ?? 2, indentSeq: indentSeq ?? true };
}

/** An edit below an alias would change its anchor too, so each alias becomes a copy, and each merge key its entries. */
function expandAliases(document: Document): void {
  visit(document, {
    // resolve() finds a node or nothing; its declared type is wider than what visit() takes.
    Alias: (_key, node) => node.resolve(document)?.clone() as Node | undefined,
  });
  visit(document, {
    Node(_key, node) {
      if ("anchor" in node) delete node.anchor;
      if (isMap(node)) expandMerges(node);
    },
  });
}

function expandMerges(map: YAMLMap): void {
  for (let at = map.items.findIndex(isMerge); at >= 0; at = map.items.findIndex(isMerge)) {
    const [merge] = map.items.splice(at, 1);
    const sources = isSeq(merge?.value) ? merge.value.items : [merge?.value];
    for (const source of sources) {
      if (!isMap(source)) continue;
      const missing = source.items.filter((pair) => isMerge(pair) || !map.has(pair.key));
      map.items.splice(at, 0, ...missing);
      at += missing.length;
    }
  }
}

/** `<<` without quotes; the schema turns it into a symbol. */
function isMerge(pair: unknown): boolean {
  return isPair(pair) && isScalar(pair.key) && typeof pair.key.value === "symbol";
}

function applyToYaml(document: Document, base: readonly (string | number)[], operation: Operation): void {
  const keys = operation.path.split("/").slice(1).map(unescapePathComponent);
  const path = keys.reduce<(string | number)[]>((at, key) => {
    const list = isSeq(document.getIn(at));
    return [...at, list && /^[0-9]+$/.test(key) ? Number(key) : key];
  }, base.slice());
  if (operation.op === "remove") {
    document.deleteIn(path);
    return;
  }
  if (operation.op !== "add" && operation.op !== "replace") return;
  const parent = document.getIn(path.slice(0, -1));
  // An empty collection can only be written in flow style; what comes in need not stay on its line.
  if (isCollection(parent) && parent.items.length === 0) parent.flow = false;
  const present = document.getIn(path, true);
  const value: unknown = operation.value;
  if (isScalar(present) && typeof value === "string") {
    // The node keeps its quotes and its comment.
    present.value = value;
    delete present.source;
  } else if (path.at(-1) === "-") document.addIn(path.slice(0, -1), document.createNode(value));
  else document.setIn(path, document.createNode(value));
}
