// Keeps the domains of an installation apart: users reach their own domain and the services under it, and no other.

import { z } from "zod";
import { StanzaError } from "../core/errors.ts";
import { STOP, type Stop } from "../core/hooks.ts";
import { defineModule, type ModuleContext } from "../core/module.ts";
import type { Stanza } from "../core/stanza.ts";

/** The domain of this installation that a domain belongs to; undefined for one of elsewhere. */
function ownerOf(domain: string, { server }: ModuleContext): string | undefined {
  if (server.hostTypeOf(domain) !== undefined) return domain;
  const service = server.serviceOf(domain);
  return service && (service.at.parent ?? domain);
}

/** Stops a stanza from one domain of ours to another; its sender is told. */
function isolate(stanza: Stanza, ctx: ModuleContext): Stop | Promise<Stop> | undefined {
  const { from, to } = stanza;
  if (from.domain === to.domain) return undefined;
  const sender = ownerOf(from.domain, ctx);
  if (sender === undefined || sender === ownerOf(to.domain, ctx)) return undefined;
  const told = ctx.server.bounce(stanza, new StanzaError("service-unavailable", "Filtered by the domain isolation"));
  return told === undefined ? STOP : told.then((): Stop => STOP);
}

export default defineModule({
  name: "mod_domain_isolation",
  xeps: [],
  config: z.strictObject({}),
  hooks: { filter_local_packet: { at: 10, run: isolate } },
});
