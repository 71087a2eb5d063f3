// What comes of the statements that read a page.

import type { Row } from "./pages.ts";

/** What was read for a page. */
export interface Read {
  /** In the order of the page's direction. */
  readonly rows: Row[];
  /** Whether there are more in that direction. */
  readonly more: boolean;
  readonly total: number | undefined;
  /** Messages before the edge of the page that its id is; undefined without one. */
  readonly before: number | undefined;
  /** Whether there is a message with the page's id; undefined when that was not looked at. */
  readonly edge: boolean | undefined;
}

/** Takes what is more than a page off its rows; says whether there was more. */
export function trim(rows: Row[], max: number): boolean {
  if (rows.length <= max) return false;
  rows.length = max;
  return true;
}
