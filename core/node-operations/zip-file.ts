// A zip file that is written while its contents are still being read.

import { type FileHandle, open, stat, unlink } from "node:fs/promises";
import { Zip, ZipDeflate } from "fflate";
import { OperationError } from "../operations.ts";

/** Bytes that are compressed in one go: some milliseconds, and then others have their turn. */
const CHUNK = 64 * 1024;
/** What the format can say (APPNOTE 4.4.8, without its 64-bit extension). */
const MAX_BYTES = 0xffff_ffff;

/** A new zip file of the owner's alone. Files are added one after the other. */
export class ZipFile {
  private readonly zip: Zip;
  private waiting: Uint8Array[] = [];
  private written = 0;

  private constructor(
    private readonly handle: FileHandle,
    readonly path: string,
    private readonly most: number,
  ) {
    this.zip = new Zip((error, bytes) => {
      if (error) throw error;
      this.waiting.push(bytes);
    });
  }

  /**
   * Makes the file. Throws an OperationError, with MongooseIM's codes, where it cannot be made.
   * @param most bytes of the whole, and of each file in it, uncompressed
   */
  static async create(path: string, most = MAX_BYTES): Promise<ZipFile> {
    if (path === "" || path.includes("\0")) {
      throw new OperationError("wrong_filename_error", "Cannot write the result: the file has no usable name");
    }
    try {
      return new ZipFile(await open(path, "wx", 0o600), path, most);
    } catch (error) {
      throw await refusal(path, error as NodeJS.ErrnoException);
    }
  }

  /** Adds a file: its text comes in parts of any size. */
  async add(name: string, parts: AsyncIterable<string>): Promise<void> {
    const entry = new ZipDeflate(name, { level: 6 });
    this.zip.add(entry);
    let size = 0;
    for await (const part of parts) {
      const bytes = Buffer.from(part);
      size += bytes.length;
      if (size > this.most) throw tooMuch(name);
      for (let at = 0; at < bytes.length; at += CHUNK) {
        // A copy: the compressor keeps what it is given, and small buffers share theirs with others.
        entry.push(new Uint8Array(bytes.subarray(at, at + CHUNK)), false);
        await this.flush();
      }
    }
    entry.push(new Uint8Array(0), true);
    await this.flush();
  }

  /** Writes the end, and sees the whole onto the disk. */
  async finish(): Promise<void> {
    this.zip.end();
    await this.flush();
    await this.handle.sync();
    await this.handle.close();
  }

  /** Gives it up: the file is gone. */
  async discard(): Promise<void> {
    this.zip.terminate();
    await this.handle.close().catch(() => undefined);
    await unlink(this.path).catch(() => undefined);
  }

  private async flush(): Promise<void> {
    const parts = this.waiting;
    this.waiting = [];
    for (const bytes of parts) {
      this.written += bytes.length;
      if (this.written > this.most) throw tooMuch(this.path);
      try {
        for (let at = 0; at < bytes.length; ) at += (await this.handle.write(bytes, at)).bytesWritten;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw new OperationError("file_write_error", `Cannot write "${this.path}": ${explained(code)}`);
      }
    }
    if (parts.length === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

const tooMuch = (what: string): OperationError =>
  new OperationError("file_write_error", `Cannot write "${what}": it would be larger than a zip file can be (4 GB)`);

async function refusal(path: string, error: NodeJS.ErrnoException): Promise<Error> {
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory()) {
    return new OperationError("location_is_a_directory_error", `Cannot write "${path}": it is a directory`);
  }
  switch (error.code) {
    case "EEXIST":
      return new OperationError("file_exists_error", `Cannot write "${path}": the file exists already`);
    case "ENAMETOOLONG":
      return new OperationError("wrong_filename_error", "Cannot write the result: the file's name is too long");
    default:
      // MongooseIM has one code for all of these.
      return new OperationError(
        "file_creation_permission_denied_error",
        `Cannot write "${path}": ${explained(error.code)}`,
      );
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "the server may not write there",
  EPERM: "the server may not write there",
  EROFS: "the file system is read-only",
  ENOENT: "there is no such directory",
  ENOTDIR: "there is no such directory",
  EISDIR: "it is a directory",
  ENOSPC: "no space is left on the device",
  EDQUOT: "the quota of the device is used up",
};
const explained = (code: string | undefined): string => REASONS[code ?? ""] ?? code ?? "unknown error";
