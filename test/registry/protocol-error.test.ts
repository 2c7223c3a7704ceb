import { describe, expect, test } from "vitest";

import * as errors from "../../src/errors.ts";
import { ProtocolError, protocolErrors, toProtocolError } from "../../src/registry/protocol-error.ts";

/** OCI distribution-spec 1.1, "Error Codes": a 4xx answer in JSON has one of these. */
const specified = new Set([
  "BLOB_UNKNOWN",
  "BLOB_UPLOAD_INVALID",
  "BLOB_UPLOAD_UNKNOWN",
  "DIGEST_INVALID",
  "MANIFEST_BLOB_UNKNOWN",
  "MANIFEST_INVALID",
  "MANIFEST_UNKNOWN",
  "NAME_INVALID",
  "NAME_UNKNOWN",
  "SIZE_INVALID",
  "UNAUTHORIZED",
  "DENIED",
  "UNSUPPORTED",
  "TOOMANYREQUESTS",
]);

test.each(Object.entries(protocolErrors))("%s has a code that its status allows", (_, { status, code }) => {
  expect(status >= 500 || specified.has(code)).toBe(true);
});

describe("an error of ours becomes one of the protocol", () => {
  test.each([
    [errors.pathUnknown("/nix/store/x", "itself", ["https://c"]), "manifest", 404, "MANIFEST_UNKNOWN"],
    [errors.pathUnknown("/nix/store/x", "itself", ["https://c"]), "blob", 404, "BLOB_UNKNOWN"],
    [errors.pathUnknown("/nix/store/x", "itself", ["https://c"]), "tags", 404, "NAME_UNKNOWN"],
    [errors.imageNameInvalid("a/b:1", "why"), "manifest", 404, "NAME_UNKNOWN"],
    [errors.sourceUnknown("x", ["nixos"]), "manifest", 404, "NAME_UNKNOWN"],
    [errors.storePathInvalid("x", "why"), "manifest", 400, "NAME_INVALID"],
    [errors.pathUntrusted("/nix/store/x", "https://c", "none", []), "manifest", 403, "DENIED"],
    [errors.closureCheckMismatch("x", "0", "1"), "manifest", 409, "MANIFEST_INVALID"],
    [errors.whiteoutName("/nix/store/x", ".wh.a"), "manifest", 422, "MANIFEST_INVALID"],
    [errors.registryBusy(1000), "manifest", 429, "TOOMANYREQUESTS"],
    [errors.narHashMismatch("/nix/store/x", "https://c", "a", "b"), "manifest", 503, "UNAVAILABLE"],
    [errors.cacheUnavailable("https://c", "x", "why"), "manifest", 503, "UNAVAILABLE"],
    [errors.resolveTimeout("x", 1, 2), "manifest", 503, "UNAVAILABLE"],
  ] as const)("%s for a %s: %d %s", (error, asked, status, code) => {
    const answer = toProtocolError(error, asked);
    expect(answer.kind).toStrictEqual({ status, code, message: error.message });
    expect(answer.body()).toStrictEqual({
      errors: [{ code, message: error.message, detail: { code: error.code } }],
    });
    expect(answer.headers).toStrictEqual(status === 503 || status === 429 ? { "Retry-After": "10" } : {});
  });

  test.each([
    ["a bug", new Error("secret /path")],
    ["a bug that was noticed", errors.internal("secret /path")],
    ["no error at all", "secret"],
  ])("%s is not told", (_, error) => {
    const answer = toProtocolError(error, "manifest");
    expect(answer.kind).toBe(protocolErrors.unexpected);
    expect(JSON.stringify(answer.body())).not.toContain("secret");
    expect(answer.cause).toBe(error);
  });

  test("one of the protocol stays as it is", () => {
    const error = new ProtocolError(protocolErrors.blobUnknown);
    expect(toProtocolError(error, "blob")).toBe(error);
  });

  test("every status that our errors have is answered with a code that it allows", () => {
    for (const { status, code } of errors.errorKinds.values()) {
      const error = new errors.NixClosureError({ status, code }, "message");
      const { kind } = toProtocolError(error, "manifest");
      expect(kind.status >= 500 || specified.has(kind.code), code).toBe(true);
      if (status !== 500) expect(kind, code).not.toBe(protocolErrors.unexpected);
    }
  });
});
