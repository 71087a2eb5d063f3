// XEP-0004 Data Forms as pubsub uses them: values by field name, under a FORM_TYPE (XEP-0068).

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import { NS_DATA } from "../../core/ns.ts";

export const NS_PUBSUB = "http://jabber.org/protocol/pubsub";
/** FORM_TYPEs of the forms, without the namespace. */
export type FormType =
  | "node_config"
  | "publish-options"
  | "subscribe_options"
  | "meta-data"
  | "subscribe_authorization";

/** Field name as on the wire to its values; FORM_TYPE is left out. */
export type FormValues = ReadonlyMap<string, readonly string[]>;

/**
 * Reads a submitted form; undefined when it was cancelled.
 * @throws StanzaError bad-request when it is no form of that type
 */
export function parseForm(x: Element, type: FormType): FormValues | undefined {
  if (!x.is("x", NS_DATA)) throw new StanzaError("bad-request", "A data form is wanted");
  if (x.attrs["type"] === "cancel") return undefined;
  // Clients leave it out: "submit" is the only other type that a form from a client can have here.
  if (x.attrs["type"] !== undefined && x.attrs["type"] !== "submit") {
    throw new StanzaError("bad-request", "The form must be of type submit");
  }
  const values = new Map<string, readonly string[]>();
  let formType: string | undefined;
  for (const field of x.getChildren("field", NS_DATA)) {
    const name = field.attrs["var"];
    if (name === undefined || values.has(name)) throw new StanzaError("bad-request", "A field has no name of its own");
    const texts = field.getChildren("value", NS_DATA).map((v) => v.text());
    if (name === "FORM_TYPE") formType = texts[0];
    else values.set(name, texts);
  }
  if (formType !== `${NS_PUBSUB}#${type}` && (formType !== undefined || values.size > 0)) {
    throw new StanzaError("bad-request", `The FORM_TYPE must be ${NS_PUBSUB}#${type}`);
  }
  return values;
}

/** XEP-0004 §3.3; undefined for what is no boolean. */
export function booleanOf(text: string | undefined): boolean | undefined {
  if (text === "1" || text === "true") return true;
  return text === "0" || text === "false" ? false : undefined;
}
