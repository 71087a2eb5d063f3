// The date that ages are reckoned from. A clock that is wrong for an hour must not have deleted years of messages.

export class SaneDate {
  /** The latest date that is believed, at `lookedAt`; undefined before the first look. */
  private latest: number | undefined;
  private lookedAt = 0;

  /**
   * @param now the wall clock, in ms since 1970
   * @param steady a clock that goes on evenly, in ms
   */
  constructor(
    private readonly now: () => number,
    private readonly steady: () => number,
  ) {}

  /**
   * The wall clock's date; of one that has jumped ahead since the first look, an earlier one, which follows at twice the
   * pace: a machine that has slept is caught up with. In ms since 1970.
   */
  look(): number {
    const now = this.now();
    const steady = this.steady();
    const passed = steady - this.lookedAt;
    this.lookedAt = steady;
    this.latest =
      this.latest === undefined ? now : Math.max(this.latest + passed, Math.min(now, this.latest + 2 * passed));
    return Math.min(now, this.latest);
  }
}
