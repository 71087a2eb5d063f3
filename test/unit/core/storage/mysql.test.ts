import { expect, test } from "vitest";
import { StorageError } from "../../../../core/storage/db.ts";
import { toStorageError } from "../../../../core/storage/mysql/errors.ts";

const serverError = (errno: number, sqlState: string, message = "why") =>
  Object.assign(new Error(message), { errno, sqlState, code: "ER_X" });

test.each([
  [1062, "23000", "constraint"],
  [1048, "23000", "constraint"],
  [1451, "23000", "constraint"],
  [1452, "23000", "constraint"],
  [1406, "22001", "constraint"],
  [1264, "22003", "constraint"],
  [1265, "01000", "constraint"],
  [1366, "HY000", "constraint"],
  [3819, "HY000", "constraint"],
  [4025, "23000", "constraint"],
  [1153, "08S01", "constraint"],
  [1213, "40001", "conflict"],
  [1205, "HY000", "conflict"],
  [1020, "HY000", "conflict"],
  [1969, "70100", "timeout"],
  [3024, "HY000", "timeout"],
  [1317, "70100", "unavailable"],
  [1040, "08004", "unavailable"],
  [1045, "28000", "unavailable"],
  [1049, "42000", "unavailable"],
  [1053, "08S01", "unavailable"],
  [1290, "HY000", "unavailable"],
  [1927, "70100", "unavailable"],
  [1114, "HY000", "full"],
  [1021, "HY000", "full"],
  [1194, "HY000", "corrupt"],
  [1064, "42000", "syntax"],
  [1146, "42S02", "syntax"],
  [1054, "42S22", "syntax"],
  [1210, "HY000", "syntax"],
])("MySQL's error %i (%s) is %s", (errno, sqlState, expected) => {
  const cause = serverError(errno, sqlState);
  expect(toStorageError(cause)).toMatchObject({ name: "StorageError", code: expected, message: "why", cause });
});

test.each([
  ['Got error 28 "No space left on device" from storage engine InnoDB', "full"],
  ["Got error 122 from storage engine", "unavailable"],
])("an engine's error is told by its words: %s", (words, expected) => {
  expect(toStorageError(serverError(1030, "HY000", words)).code).toBe(expected);
});

test.each(["ECONNREFUSED", "PROTOCOL_CONNECTION_LOST", "HANDSHAKE_SSL_ERROR", "ETIMEDOUT"])(
  "%s is unavailable",
  (code) => {
    expect(toStorageError(Object.assign(new Error("why"), { code })).code).toBe("unavailable");
  },
);

test("an error of the client that ends the connection is unavailable", () => {
  expect(toStorageError(Object.assign(new Error("closed"), { fatal: true })).code).toBe("unavailable");
});

test("a way to log in that the client does not know is named without its own hints", () => {
  const message = "Server requests authentication using unknown plugin client_ed25519. See the manual";
  const cause = Object.assign(new Error(message), { code: "AUTH_SWITCH_PLUGIN_ERROR", fatal: true });
  expect(toStorageError(cause).message).toMatch(/^the user's way to log in, client_ed25519, is not one of /);
});

test("a storage error stays itself", () => {
  const error = new StorageError("full", "no room");
  expect(toStorageError(error)).toBe(error);
});
