// The traffic shaper: a token bucket. It holds no timer; who feeds it pauses as long as it says.

/**
 * A bucket of `rate` tokens that fills with `rate` tokens a second and starts full, which is what MongooseIM makes of
 * `shaper.*.max_rate`: a burst of one second passes at once. For a stream a token is a byte.
 */
export class Shaper {
  #rate: number;
  #tokens: number;
  #at: number | undefined;

  /** @param rate tokens a second; 0 means no limit, as the shaper "none" has none */
  constructor(rate: number) {
    this.#rate = rate;
    this.#tokens = rate;
  }

  get rate(): number {
    return this.#rate;
  }

  /**
   * Takes `n` tokens, which may leave the bucket in debt.
   * @param now milliseconds of a clock, best of one that is not set
   * @returns milliseconds to take nothing more, 0 to go on
   */
  take(n: number, now: number): number {
    if (this.#rate <= 0) return 0;
    if (this.#at !== undefined && now > this.#at) {
      this.#tokens = Math.min(this.#rate, this.#tokens + ((now - this.#at) * this.#rate) / 1000);
    }
    // A clock that was set back gives nothing for that, and fills the bucket again from there.
    this.#at = now;
    this.#tokens -= n;
    // Rounded off beforehand: what sums leave below a millionth of a token is no millisecond of waiting.
    return this.#tokens >= -1e-6 ? 0 : Math.ceil((-this.#tokens * 1000) / this.#rate - 1e-6);
  }

  /** Changes the rate while in use, as when configuration is loaded again; a debt is kept, a surplus is not. */
  setRate(rate: number): void {
    this.#rate = rate;
    this.#tokens = Math.min(this.#tokens, rate);
  }
}
