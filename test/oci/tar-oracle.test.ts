/** Archives of ours as other programs read them. A program that this machine lacks is a skip that says so. */
import { isUtf8 } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, closeSync, ftruncateSync, lstatSync, mkdtempSync, openSync, readdirSync } from "node:fs";
import { readFileSync, readlinkSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test, type TestContext } from "vitest";

import { tarEnd, type TarEntry, tarHeader, tarPadding } from "../../src/oci/tar.ts";

/** A longer name has a PAX header. */
const ustarNameBytes = 100;
const component = (letter: string) => letter.repeat(60);
const deep = Buffer.from(["a", "b", "c", "d", "e"].map(component).join("/"));
const below = (parent: Uint8Array, name: Uint8Array | string) =>
  Buffer.concat([parent, Buffer.from("/"), Buffer.from(name)]);
const parents = [1, 2, 3, 4, 5].map((depth) => deep.subarray(0, 61 * depth - 1));

const sample: readonly { readonly entry: TarEntry; readonly content: Buffer }[] = [
  ...parents.map((path) => directory(path)),
  directory(Buffer.from("D".repeat(99))),
  directory(Buffer.from("D".repeat(100))),
  file("empty", "", 0o444),
  file("plain", "content", 0o444),
  file("run", "#!", 0o555),
  file("block", "x".repeat(512), 0o444),
  file("block and one", "x".repeat(513), 0o444),
  file("n".repeat(99), "99", 0o444),
  file("n".repeat(100), "100", 0o444),
  file("n".repeat(101), "101", 0o444),
  file("n".repeat(255), "255", 0o444),
  file("é".repeat(51), "multibyte", 0o444),
  file(Buffer.from([0xff, 0x80, 0x41]), "not UTF-8", 0o444),
  file(Buffer.alloc(120, 0xfe), "not UTF-8, in PAX", 0o444),
  file("new\nline", "newline", 0o444),
  file("=\n 9 ".repeat(25), "newlines, in PAX", 0o444),
  file(below(parents[1]!, "n".repeat(34)), "156 bytes", 0o444),
  file(below(parents[1]!, "n".repeat(100)), "prefix and name", 0o444),
  file(below(parents[1]!, "n".repeat(101)), "PAX", 0o444),
  file(below(parents[4]!, "n"), "deep", 0o555),
  symlink("link", "plain"),
  symlink("to nothing", "/nix/store/absent"),
  symlink("to 100", "t".repeat(100)),
  symlink("to 101", "t".repeat(101)),
  symlink("to 4000", "../".repeat(1333)),
  symlink(Buffer.alloc(130, 0xfd), Buffer.alloc(130, 0xfc)),
];

function directory(path: Uint8Array) {
  return { entry: { path, type: "directory" as const, mode: 0o555, size: 0 }, content: Buffer.of() };
}

function file(path: Uint8Array | string, text: string, mode: number) {
  const content = Buffer.from(text);
  return {
    entry: { path: Buffer.from(path), type: "regular" as const, mode, size: content.length },
    content,
  };
}

function symlink(path: Uint8Array | string, target: Uint8Array | string) {
  const entry = { type: "symlink" as const, mode: 0o777, size: 0, target: Buffer.from(target) };
  return { entry: { ...entry, path: Buffer.from(path) }, content: Buffer.of() };
}

/** One line for an entry, the same from every reader: type, mode, owner, mtime, size, path and target in hex. */
function line({ entry }: { readonly entry: TarEntry }): string {
  const target = Buffer.from(entry.target ?? []).toString("hex");
  const path = Buffer.from(entry.path).toString("hex");
  return [entry.type, entry.mode.toString(8), "0:0::", 1, entry.size, path, target].join(" ").trimEnd();
}

const scratch = mkdtempSync(join(tmpdir(), "nix-closure-tar-"));
const archive = join(scratch, "sample.tar");
const large = join(scratch, "large.tar");
const largeFile: TarEntry = {
  path: Buffer.from("large"),
  type: "regular",
  mode: 0o444,
  size: 8 * 1024 ** 3 + 5,
};

beforeAll(() => {
  const parts = sample.flatMap(({ entry, content }) => [
    tarHeader(entry),
    content,
    tarPadding(content.length),
  ]);
  writeFileSync(archive, Buffer.concat([...parts, tarEnd]));
  // 8 GiB of content as a hole: it takes no room on the disk.
  const descriptor = openSync(large, "w");
  const header = tarHeader(largeFile);
  writeSync(descriptor, header);
  const next = header.length + largeFile.size + tarPadding(largeFile.size).length;
  const last = tarHeader({ path: Buffer.from("after"), type: "directory", mode: 0o555, size: 0 });
  writeSync(descriptor, last, 0, last.length, next);
  ftruncateSync(descriptor, next + last.length + tarEnd.length);
  closeSync(descriptor);
});

afterAll(() => {
  makeWritable(Buffer.from(scratch));
  rmSync(scratch, { recursive: true });
});

/** Read-only directories cannot be emptied by an ordinary user. */
function makeWritable(path: Buffer): void {
  if (!lstatSync(path).isDirectory()) return;
  chmodSync(path, 0o755);
  for (const name of readdirSync(path, { encoding: "buffer" })) makeWritable(below(path, name));
}

function requireProgram(context: TestContext, program: string, ...args: readonly string[]): void {
  const { status } = spawnSync(program, args, { stdio: "ignore" });
  if (status !== 0) context.skip(`no working ${program} on this machine`);
}

function requireGnuTar(context: TestContext): void {
  const { stdout } = spawnSync("tar", ["--version"], { encoding: "utf8" });
  if (!(stdout ?? "").includes("GNU tar")) context.skip("tar is not GNU tar on this machine");
}

test("GNU tar lists types, modes, owners, sizes and times", (context) => {
  requireGnuTar(context);
  const args = ["-tv", "--numeric-owner", "--full-time", "--utc", "--quoting-style=escape", "-f", archive];
  const lines = execFileSync("tar", args, { encoding: "latin1", env: { ...process.env, LC_ALL: "C" } })
    .trimEnd()
    .split("\n");
  const letter = { directory: "d", regular: "-", symlink: "l" };
  const permissions: Record<number, string> = { 0o444: "r--r--r--", 0o555: "r-xr-xr-x", 0o777: "rwxrwxrwx" };
  expect(lines.map((each) => each.split(/ +/).slice(0, 5))).toStrictEqual(
    sample.map(({ entry }) => [
      letter[entry.type] + permissions[entry.mode]!,
      "0/0",
      String(entry.size),
      "1970-01-01",
      "00:00:01",
    ]),
  );
});

test("GNU tar extracts names, modes, targets and contents", (context) => {
  requireGnuTar(context);
  const root = mkdtempSync(join(scratch, "extracted-"));
  const { status, stderr } = spawnSync("tar", ["-xpf", archive, "-C", root], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  for (const { entry, content } of sample) {
    const path = below(Buffer.from(root), entry.path);
    const found = lstatSync(path);
    if (entry.type === "symlink") {
      expect(readlinkSync(path, { encoding: "buffer" }).equals(Buffer.from(entry.target!))).toBe(true);
      continue;
    }
    expect(found.mode & 0o7777).toBe(entry.mode);
    if (entry.type === "directory") {
      expect(found.isDirectory()).toBe(true);
      continue;
    }
    expect(found.mtimeMs).toBe(1000);
    expect(readFileSync(path).equals(content)).toBe(true);
  }
});

test("GNU tar reads a file of more than 8 GiB and what comes after it", (context) => {
  requireGnuTar(context);
  const lines = execFileSync("tar", ["-tvf", large], { encoding: "utf8" }).trimEnd().split("\n");
  expect(lines.map((each) => [each.split(/ +/)[2], each.split(" ").at(-1)])).toStrictEqual([
    [String(largeFile.size), "large"],
    ["0", "after/"],
  ]);
});

const python = `
import sys, tarfile
kinds = {tarfile.REGTYPE: "regular", tarfile.SYMTYPE: "symlink", tarfile.DIRTYPE: "directory"}
raw = lambda text: text.encode("utf-8", "surrogateescape").hex()
for m in tarfile.open(sys.argv[1], "r:", encoding="utf-8"):
    print(kinds[m.type], "%o" % m.mode, "%d:%d:%s:%s" % (m.uid, m.gid, m.uname, m.gname), int(m.mtime), m.size,
          raw(m.name), raw(m.linkname))
`;

test("Python's tarfile reads everything back", (context) => {
  requireProgram(context, "python3", "-c", "import tarfile");
  const read = (path: string) =>
    execFileSync("python3", ["-c", python, path], { encoding: "utf8" }).trimEnd().split("\n");
  expect(read(archive).map((each) => each.trimEnd())).toStrictEqual(sample.map(line));
  expect(read(large)[0]?.trimEnd()).toBe(line({ entry: largeFile }));
});

const go = `package main

import ("archive/tar"; "fmt"; "io"; "os"; "strings")

func main() {
	kinds := map[byte]string{tar.TypeReg: "regular", tar.TypeSymlink: "symlink", tar.TypeDir: "directory"}
	for _, path := range os.Args[1:] {
		file, err := os.Open(path)
		if err != nil { panic(err) }
		reader := tar.NewReader(file)
		for {
			h, err := reader.Next()
			if err == io.EOF { break }
			if err != nil { panic(err) }
			name := h.Name
			if h.Typeflag == tar.TypeDir { name = strings.TrimSuffix(name, "/") }
			fmt.Printf("%s %o %d:%d:%s:%s %d %d %x %x\\n", kinds[h.Typeflag], h.Mode, h.Uid, h.Gid, h.Uname, h.Gname,
				h.ModTime.Unix(), h.Size, name, h.Linkname)
		}
	}
}
`;

test("Go's archive/tar, which containerd and CRI-O unpack with, reads everything back", (context) => {
  requireProgram(context, "go", "version");
  const program = join(scratch, "read.go");
  writeFileSync(program, go);
  const lines = execFileSync("go", ["run", program, archive, large], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
  expect(lines.map((each) => each.trimEnd())).toStrictEqual([
    ...sample.map(line),
    line({ entry: largeFile }),
    line({ entry: { path: Buffer.from("after"), type: "directory", mode: 0o555, size: 0 } }),
  ]);
});

test("bsdtar lists every entry, and complains of those alone whose names are no text", (context) => {
  requireProgram(context, "bsdtar", "--version");
  // POSIX wants the names in PAX headers to be UTF-8; a NAR's are bytes, and so are those in our layers.
  const env = { ...process.env, LC_ALL: "C.UTF-8" };
  const { stdout, stderr } = spawnSync("bsdtar", ["-tf", archive], { encoding: "latin1", env });
  const complaint = "bsdtar: Pathname can't be converted from UTF-8 to current locale.\n";
  const odd = sample.filter(({ entry: { path } }) => !isUtf8(path) && path.length > ustarNameBytes);
  expect(odd).toHaveLength(2);
  expect(stderr).toBe(`${complaint.repeat(odd.length)}bsdtar: Error exit delayed from previous errors.\n`);
  expect(stdout.trimEnd().split("\n")).toHaveLength(sample.length);
});
