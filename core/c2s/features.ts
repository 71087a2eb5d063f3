// Stream features (RFC 6120 §4.3.2): the engine's own, then those of the host type's features.

import { NS_BIND, NS_SASL, NS_SASL_CB, NS_SESSION, NS_STREAM, NS_TLS } from "../ns.ts";
import { type AuthenticateRequest, type Mechanism, Offer, type OfferContext, type SaslContext } from "../sasl/index.ts";
import type { Markup } from "../xml/markup.ts";
import type { ChannelOffer, StreamHost } from "./engine.ts";
import type { C2S } from "./stream.ts";

/** Sends what the client may do next: before authentication, after it, or (without <bind/>) with a session. */
export function sendFeatures(c2s: C2S): void {
  const { host, options, conn, nego } = c2s;
  const authenticated = nego === undefined || nego.local !== undefined;
  const own: string[] = [];
  if (nego === undefined) {
    // The resource was bound inline (XEP-0386).
  } else if (authenticated) {
    own.push(`<bind xmlns='${NS_BIND}'/>`);
    if (options.legacySession) own.push(`<session xmlns='${NS_SESSION}'><optional/></session>`);
  } else {
    const canTls = options.starttls !== "no" && !c2s.secure;
    if (canTls) {
      own.push(`<starttls xmlns='${NS_TLS}'>${options.starttls === "required" ? "<required/>" : ""}</starttls>`);
    }
    if (!canTls || options.starttls === "offered") {
      nego.channel = channelOf(c2s);
      nego.offer = offerFor(host, nego.channel);
      own.push(nego.offer.xml);
    }
  }
  const send = (features: readonly Markup[]): void => {
    const open = conn?.framing === "whole" ? `<stream:features xmlns:stream='${NS_STREAM}'>` : "<stream:features>";
    c2s.writeElement(`${open}${own.join("")}${features.map((f) => f.text).join("")}</stream:features>`);
  };
  // A stream that must be encrypted first offers nothing else (RFC 6120 §5.3.1).
  if (!authenticated && options.starttls === "required" && !c2s.secure) {
    send([]);
    return;
  }
  const more = host.hooks.fold("c2s_stream_features", [], { session: c2s, domain: c2s.domain, authenticated });
  if (more instanceof Promise) c2s.wait(more.then(send));
  else send(more);
}

/** What depends on the host type and the channel alone: it is worked out once for each kind. */
function offerFor(host: StreamHost, channel: OfferContext): ChannelOffer {
  const { tls, exporter, endpoint, certificate, allowedMethods } = channel;
  const kind = `${tls} ${exporter !== undefined} ${endpoint !== undefined} ${certificate?.authorized} ${allowedMethods}`;
  let offer = host.offers.get(kind);
  if (offer === undefined) {
    const mechanisms = new Offer(channel, addedTo(host));
    offer = { mechanisms, xml: offerXml(mechanisms) };
    host.offers.set(kind, offer);
  }
  return offer;
}

/** What a stream's connection gives SASL. */
function channelOf({ host, conn, secure, options }: C2S): OfferContext {
  return {
    auth: host.auth,
    tls: secure,
    exporter: secure && conn?.exporter?.() !== undefined ? () => conn.exporter!()! : undefined,
    endpoint: secure && conn?.endpoint?.() !== undefined ? () => conn.endpoint!()! : undefined,
    certificate: conn?.certificate?.(),
    allowedMethods: options.allowedMethods as SaslContext["allowedMethods"],
  };
}

/** The mechanisms of the host type's features. */
function addedTo({ hooks }: StreamHost): readonly Mechanism[] {
  const added = hooks.fold("sasl_mechanisms", [], {});
  if (added instanceof Promise) throw new Error("sasl_mechanisms must be answered at once");
  return added;
}

/** What a mechanism may know about the stream; undefined when none was offered. */
export function saslContext(c2s: C2S, request?: AuthenticateRequest): SaslContext | undefined {
  const { engine, nego } = c2s;
  const offer = nego?.offer?.mechanisms;
  if (nego?.channel === undefined || offer === undefined) return undefined;
  return {
    ...nego.channel,
    domain: c2s.domain,
    random: (n) => engine.random(n),
    offered: offer.offered,
    tokens: offer.tokens,
    added: offer.added,
    digest: (hash) => offer.digest(hash),
    request,
    onError: (error) => engine.log.limited("auth", 5)?.error("authentication_backend_failed", { error }),
  };
}

function offerXml({ offered, bindings }: Offer): string {
  if (offered.length === 0) return "";
  const types = bindings.map((t) => `<channel-binding type='${t}'/>`).join("");
  const announced = types === "" ? "" : `<sasl-channel-binding xmlns='${NS_SASL_CB}'>${types}</sasl-channel-binding>`;
  return `${announced}<mechanisms xmlns='${NS_SASL}'>${offered.map((m) => `<mechanism>${m}</mechanism>`).join("")}</mechanisms>`;
}
