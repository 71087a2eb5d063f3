// XEP-0050 §2.4: a request to run a command, or to go on with one, and its answer.

import type { Element } from "@xmpp/xml";
import { StanzaError } from "../../core/errors.ts";
import type { Iq } from "../../core/module.ts";
import { NS_COMMANDS, NS_DATA } from "../../core/ns.ts";
import { formFault, formMarkup, Submission } from "../../core/xml/form.ts";
import { attr, Markup, xml } from "../../core/xml/markup.ts";
import type { Asker, BoundCommand, Note, Stage, Step } from "./command.ts";
import type { CommandSession, CommandSessions } from "./sessions.ts";

/** Language of what the server says. */
const LANGUAGE = "en";
/** The form of a language tag (RFC 5646); which language it is does not matter, the server knows one. */
const LANGUAGE_TAG = /^[a-z]{1,8}(-[a-z0-9]{1,8}){0,8}$/i;

const ACTIONS = ["execute", "next", "prev", "complete", "cancel"] as const;
type Action = (typeof ACTIONS)[number];
type Condition = "malformed-action" | "bad-action" | "bad-locale" | "bad-payload" | "bad-sessionid";

/** What a request is worked on with. */
export interface Desk {
  readonly sessions: CommandSessions;
  /** `Server.steady`. */
  now(): number;
  newId(): string;
  /** The command with this node, when there is one. */
  find(who: Asker, node: string): Promise<BoundCommand | undefined>;
}

interface Request {
  readonly node: string;
  readonly action: Action;
  readonly session: string | undefined;
  readonly form: Submission | undefined;
}

/** Answers <command/>; throws the errors of XEP-0050 §3.4. */
export async function execute(iq: Iq, desk: Desk): Promise<Markup> {
  const request = requestOf(iq);
  const who = { from: iq.from, to: iq.to };
  const command = await desk.find(who, request.node);
  if (command === undefined) throw new StanzaError("item-not-found");
  // Asked at every step: a right may have been taken away meanwhile.
  if (!(await command.allowed(who))) throw new StanzaError("forbidden");
  return request.session === undefined ? begin(command, request, who, desk) : goOn(request, request.session, who, desk);
}

function requestOf({ payload, stanza }: Iq): Request {
  const { node, action = "execute", sessionid } = payload.attrs;
  if (payload.name !== "command" || !node) throw new StanzaError("bad-request");
  const lang = payload.attrs["xml:lang"] ?? stanza.lang;
  if (lang !== undefined && !LANGUAGE_TAG.test(lang)) throw refused("bad-locale");
  if (sessionid === "") throw refused("bad-sessionid");
  const form = formOf(payload);
  // An empty action is what MongooseIM takes for none; a form that was given up is the command given up.
  const meant = action === "" ? "execute" : action;
  if (!isAction(meant)) throw refused("malformed-action");
  return { node, action: form?.type === "cancel" ? "cancel" : meant, session: sessionid, form };
}

const isAction = (text: string): text is Action => (ACTIONS as readonly string[]).includes(text);

function formOf(payload: Element): Submission | undefined {
  const forms = payload.getChildren("x", NS_DATA);
  if (forms.length === 0) return undefined;
  const form = Submission.of(forms[0]);
  if (forms.length > 1 || (form.type !== "submit" && form.type !== "cancel")) throw refused("bad-payload");
  return form;
}

async function begin(command: BoundCommand, { node, action }: Request, who: Asker, desk: Desk): Promise<Markup> {
  if (action !== "execute") throw refused("bad-action");
  const step = await command.start(who);
  const id = desk.newId();
  if (isStage(step)) {
    const head = { id, node, owner: who.from.text, user: who.from.bare.text, to: who.to.text };
    return stageAnswer(desk.sessions.begin(head, step, desk.now()), step);
  }
  desk.sessions.remember(id, who.from.text);
  return answer(node, id, "completed", step.notes, step.payload);
}

async function goOn({ node, action, form }: Request, id: string, who: Asker, desk: Desk): Promise<Markup> {
  const { sessions } = desk;
  const session = sessions.find(id, who.from.text, desk.now());
  if (session === "expired") throw expired();
  if (session === undefined || session.node !== node || session.to !== who.to.text) throw refused("bad-sessionid");
  // One form at a time: the next one is for a stage that does not exist yet.
  if (session.busy) throw new StanzaError("unexpected-request");
  if (action === "cancel") {
    sessions.end(session);
    return answer(node, id, "canceled");
  }
  const stage = session.stages[session.stages.length - 1];
  if (action === "prev") {
    if (session.stages.length === 1) throw refused("bad-action");
    session.stages.pop();
    sessions.touch(session, desk.now());
    return stageAnswer(session, session.stages[session.stages.length - 1]);
  }
  if (action !== "execute" && action !== (stage.more ? "next" : "complete")) throw refused("bad-action");
  const submission = form ?? Submission.EMPTY;
  const fault = formFault(stage.form, submission);
  if (fault !== undefined) throw refused("bad-payload", fault);
  session.busy = true;
  try {
    return await submitted(session, stage, submission, desk);
  } finally {
    session.busy = false;
  }
}

async function submitted(session: CommandSession, stage: Stage, form: Submission, desk: Desk): Promise<Markup> {
  const { sessions } = desk;
  let step: Step;
  try {
    step = await stage.submit(form);
  } catch (error) {
    if (error instanceof StanzaError && error.condition === "bad-request") {
      sessions.touch(session, desk.now());
      throw error.extra === undefined ? refused("bad-payload", error.text) : error;
    }
    sessions.end(session);
    throw error;
  }
  if (isStage(step)) {
    session.stages.push(step);
    sessions.touch(session, desk.now());
    return stageAnswer(session, step);
  }
  sessions.end(session);
  return answer(session.node, session.id, "completed", step.notes, step.payload);
}

const isStage = (step: Step): step is Stage => "form" in step;

function stageAnswer({ node, id, stages }: CommandSession, { form, notes, more }: Stage): Markup {
  const onward = more ? "next" : "complete";
  const back = stages.length > 1 ? xml`<prev/>` : undefined;
  const actions = xml`<actions execute='${onward}'>${back}<${new Markup(onward)}/></actions>`;
  return answer(node, id, "executing", notes, xml`${actions}${formMarkup(form)}`);
}

function answer(
  node: string,
  id: string,
  status: "executing" | "completed" | "canceled",
  notes: readonly Note[] = [],
  payload?: Markup,
): Markup {
  const said = notes.map(({ type = "info", text }) => xml`<note type='${type}'>${text}</note>`);
  const lang = attr("xml:lang", LANGUAGE);
  return xml`<command${lang} node='${node}' sessionid='${id}' status='${status}' xmlns='${NS_COMMANDS}'>${payload}${said}</command>`;
}

function refused(condition: Condition, text?: string): StanzaError {
  return new StanzaError("bad-request", text, "modify", `<${condition} xmlns='${NS_COMMANDS}'/>`);
}

const expired = (): StanzaError =>
  new StanzaError("not-allowed", undefined, "cancel", `<session-expired xmlns='${NS_COMMANDS}'/>`);
