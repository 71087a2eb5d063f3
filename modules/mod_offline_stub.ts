// RFC 6121 §8.5.2.2.1 for servers without offline storage where something else keeps messages (an archive): what is
// sent to an account that exists and is not there is taken over without an error.
import { z } from "zod";
import { STOP } from "../core/hooks.ts";
import { defineModule } from "../core/module.ts";

export default defineModule({
  name: "mod_offline_stub",
  xeps: [{ n: 160, version: "1.0.1" }],
  config: z.strictObject({}),
  // 75: after those who store messages
  hooks: { offline_message: { at: 75, run: () => STOP } },
});
