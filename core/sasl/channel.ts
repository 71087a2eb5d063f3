// Channel binding (RFC 5929, RFC 9266): what the TLS channel of a stream gives mechanisms that bind to it.
import type { SaslContext } from "./types.ts";

type Channel = Pick<SaslContext, "tls" | "exporter" | "endpoint">;

/** Whether a mechanism of that name binds to the channel (RFC 5802 §6). */
export function isPlus(name: string): boolean {
  return name.endsWith("-PLUS");
}

/** The channel binding types to announce (XEP-0440) when a -PLUS mechanism is offered: what the channel has. */
export function channelBindingTypes({ tls, exporter, endpoint }: Channel): string[] {
  const types: string[] = [];
  if (tls && exporter) types.push("tls-exporter");
  if (tls && endpoint) types.push("tls-server-end-point");
  return types;
}

/** The channel's data of a binding type; undefined when it has none of that type. */
export function bindingData({ tls, exporter, endpoint }: Channel, type: string): Uint8Array | undefined {
  if (!tls) return undefined;
  if (type === "tls-exporter") return exporter?.();
  return type === "tls-server-end-point" ? endpoint?.() : undefined;
}
