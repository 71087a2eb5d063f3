// XEP-0202 Entity Time: tells the server's clock and its offset from UTC.
import { z } from "zod";
import { iqdisc } from "../core/config/types.ts";
import { defineModule } from "../core/module.ts";
import { xml } from "../core/xml/markup.ts";

const NS_TIME = "urn:xmpp:time";

export default defineModule({
  name: "mod_time",
  xeps: [{ n: 202, version: "2.0" }],
  config: z.strictObject({ iqdisc: iqdisc("one_queue") }),
  features: [NS_TIME],
  iq: {
    "get host urn:xmpp:time": (_iq, { now }) => {
      const at = new Date(now());
      const utc = `${at.toISOString().slice(0, 19)}Z`;
      return xml`<time xmlns='${NS_TIME}'><tzo>${offset(-at.getTimezoneOffset())}</tzo><utc>${utc}</utc></time>`;
    },
  },
});

/** Minutes east of UTC as XEP-0082 writes a zone: "+01:00". */
export function offset(minutes: number): string {
  const m = Math.abs(minutes);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(Math.floor(m / 60))}:${two(m % 60)}`;
}
