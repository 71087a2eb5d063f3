// What the tests that are scripts have in common: their options, and the count of their checks.

/** The word behind `--name` on the command line. */
export function wordOption(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

/** The number behind `--name` on the command line. */
export const option = (name: string, fallback: number): number => Number(wordOption(name) ?? fallback);

/** Whether `--name` is on the command line. */
export const flag = (name: string): boolean => process.argv.includes(`--${name}`);

/** The seed of a run: what `--seed` says, so that a run can be had again. */
export const seedOption = (): number => option("seed", Math.trunc(Math.random() * 2 ** 31));

/** Longer than this, what was seen is told only of a check that failed. */
const SHORT = 80;

export class Checks {
  private passed = 0;
  private failures = 0;

  /**
   * @param name begins the last line
   * @param tellAll also those that hold
   */
  constructor(
    private readonly name: string,
    private readonly tellAll = false,
  ) {}

  get failed(): boolean {
    return this.failures > 0;
  }

  /** Counts a check, and tells of one that failed what was seen instead. */
  check(what: string, holds: boolean, seen: unknown = ""): void {
    const text = typeof seen === "string" ? seen : JSON.stringify(seen);
    if (holds) {
      this.passed++;
      const told = text === "" || text.length > SHORT || text.includes("\n") ? "" : ` (${text})`;
      if (this.tellAll) console.log(`ok: ${what}${told}`);
      return;
    }
    this.failures++;
    console.log(`FAILED: ${what}${text === "" ? "" : `\n  ${text}`}`);
  }

  /** A check that holds when there are no problems. */
  none(what: string, problems: readonly string[]): void {
    const some = problems.slice(0, 12).map((problem) => problem.slice(0, 400));
    this.check(`${what}: ${problems.length} problems`, problems.length === 0, some.join("\n  "));
  }

  /** The test cannot go on; `log` is the server's. */
  brokeOff(error: unknown, log: string): void {
    this.check("the test breaks off", false, `${error instanceof Error ? error.stack : error}\n${log.slice(-4000)}`);
  }

  /** Prints the last line, "NAME: N passed, N failed", and ends the process. */
  end(): never {
    console.log(`${this.name}: ${this.passed} passed, ${this.failures} failed`);
    process.exit(this.failed ? 1 : 0);
  }
}
