import { expect, test } from "vitest";
import { asBoolean, asTime, StorageError } from "../../../../core/storage/db.ts";
import { stillWanted } from "../../../../core/storage/patience.ts";
import { isConnectionError, toStorageError } from "../../../../core/storage/pgsql_errors.ts";
import { workerUrl } from "../../../../core/storage/sqlite/start.ts";

test.each([
  ["23505", "constraint"],
  ["22001", "constraint"],
  ["40001", "conflict"],
  ["40P01", "conflict"],
  ["26000", "conflict"],
  ["42P01", "syntax"],
  ["42601", "syntax"],
  ["08P01", "syntax"],
  ["08006", "unavailable"],
  ["57014", "timeout"],
  ["57P01", "unavailable"],
  ["53100", "full"],
  ["53300", "unavailable"],
  ["55P03", "locked"],
  ["XX001", "corrupt"],
  ["28P01", "unavailable"],
  ["3D000", "unavailable"],
  ["ECONNREFUSED", "unavailable"],
  ["EPIPE", "unavailable"],
  ["CONNECT_TIMEOUT", "unavailable"],
  ["CONNECTION_CLOSED", "unavailable"],
])("PostgreSQL's %s is %s", (code, expected) => {
  const cause = Object.assign(new Error("why"), { code });
  expect(toStorageError(cause)).toMatchObject({ name: "StorageError", code: expected, message: "why", cause });
});

test.each([
  // As PgBouncer has lost the server, or found none; as PostgreSQL refuses a setting of a session.
  [{ code: "08P01", severity_local: "FATAL" }, "unavailable", true],
  [{ code: "22023", severity: "FATAL", severity_local: "FATAL" }, "unavailable", true],
  [{ code: "57P01", severity: "FATAL", severity_local: "SCHWERWIEGEND" }, "unavailable", true],
  [{ code: "53300", severity: "FATAL" }, "unavailable", true],
  [{ code: "08P01", severity: "ERROR", severity_local: "FEHLER" }, "syntax", false],
  [{ code: "25006", severity: "ERROR" }, "unavailable", false],
  [{ code: "23505", severity: "ERROR" }, "constraint", false],
] as const)("PostgreSQL's %o is %s, and the end of its connection: %s", (words, expected, ended) => {
  const cause = Object.assign(new Error("why"), words);
  expect([toStorageError(cause).code, isConnectionError(cause)]).toEqual([expected, ended]);
});

test("that a request is given up is not the end of its connection, on which others may be", () => {
  let error: unknown;
  try {
    stillWanted({ mayBeDone: false, givenUp: true });
  } catch (thrown) {
    error = thrown;
  }
  expect([error instanceof StorageError, isConnectionError(error)]).toEqual([true, false]);
});

test("what PgBouncer does not take is told with its option for that", () => {
  const cause = Object.assign(new Error("unsupported startup parameter: statement_timeout"), { code: "08P01" });
  expect(toStorageError(cause).message).toBe(
    "unsupported startup parameter: statement_timeout (for PgBouncer: ignore_startup_parameters = statement_timeout)",
  );
});

test("a storage error stays itself", () => {
  const error = new StorageError("full", "no room");
  expect(toStorageError(error)).toBe(error);
});

test.each([
  ["2026-11-22 02:33:47", "2026-11-22T02:33:47.000Z"],
  ["2026-11-22 02:33:47.337829", "2026-11-22T02:33:47.337Z"],
  ["2026-11-22 02:33:47.3+00", "2026-11-22T02:33:47.300Z"],
  ["2026-11-22 02:33:47-02", "2026-11-22T04:33:47.000Z"],
])("the timestamp %s is %s", (text, iso) => {
  expect(new Date(asTime(text)).toISOString()).toBe(iso);
});

test.each([
  [true, true],
  [1, true],
  [false, false],
  [0, false],
  [null, false],
])("the boolean column's %s is %s", (value, expected) => {
  expect(asBoolean(value)).toBe(expected);
});

test("the worker lies beside its client, and in the binary under its path in the project", () => {
  expect(workerUrl("file:///src/core/storage/sqlite/client.ts").href).toBe("file:///src/core/storage/sqlite/worker.ts");
  expect(workerUrl("file:///$bunfs/root/mongooseimctl").href).toBe("file:///$bunfs/root/core/storage/sqlite/worker.js");
});
