// From a request to what answers it.

import { configuration, configure, create, defaultConfiguration, deleteNode, purge } from "./create.ts";
import type { Answer, Asker, PubsubEngine } from "./engine.ts";
import { nodeAffiliations, nodeSubscriptions, setAffiliations, setSubscriptions } from "./manage.ts";
import { defaultOptions, options, setOptions } from "./options.ts";
import { publish, retract } from "./publish.ts";
import type { Request } from "./request.ts";
import { items } from "./retrieve.ts";
import { affiliations, subscribe, subscriptions, unsubscribe } from "./subscribe.ts";

/** @throws StanzaError */
export function answer(engine: PubsubEngine, asker: Asker, request: Request): Answer {
  const done = perform(engine, asker, request);
  return done instanceof Promise ? done.then((markup) => markup ?? undefined) : (done ?? undefined);
}

function perform(engine: PubsubEngine, asker: Asker, request: Request): Answer | Promise<void> {
  switch (request.kind) {
    case "create":
      return create(engine, asker, request);
    case "publish":
      return publish(engine, asker, request);
    case "retract":
      return retract(engine, asker, request);
    case "items":
      return items(engine, asker, request);
    case "subscribe":
      return subscribe(engine, asker, request);
    case "unsubscribe":
      return unsubscribe(engine, asker, request);
    case "subscriptions":
      return subscriptions(engine, asker, request);
    case "affiliations":
      return affiliations(engine, asker, request);
    case "configuration":
      return configuration(engine, asker, request);
    case "configure":
      return configure(engine, asker, request);
    case "default configuration":
      return defaultConfiguration(engine, asker);
    case "delete":
      return deleteNode(engine, asker, request);
    case "purge":
      return purge(engine, asker, request);
    case "node affiliations":
      return nodeAffiliations(engine, asker, request);
    case "set affiliations":
      return setAffiliations(engine, asker, request);
    case "node subscriptions":
      return nodeSubscriptions(engine, asker, request);
    case "set subscriptions":
      return setSubscriptions(engine, asker, request);
    case "options":
      return options(engine, asker, request);
    case "set options":
      return setOptions(engine, asker, request);
    case "default options":
      return defaultOptions(engine, asker, request);
  }
}
